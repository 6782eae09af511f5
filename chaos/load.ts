/** Clients that send the simulator's workload throughout a run, at the times that the workload draws. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePlan } from '../sim/plan.js';
import { Stream } from '../sim/sim-random.js';
import { drawMessages, type WorkloadShape } from '../sim/workload.js';
import type { Peer } from './control.js';

const SHAPE: Omit<WorkloadShape, 'messages' | 'toMs'> = {
  entities: 24,
  fromMs: 0,
  workMsMax: 20,
  ...{
    bad: 0.04,
    waits: 0.4,
    given: 0.3,
    sends: 0.08,
    asks: 0.04,
    doubles: 0,
    chainMax: 1,
    lags: 0.1,
    lagMsMax: 200,
    deaf: 0,
    dead: 0,
    longs: 0,
    longMs: [1, 1],
  },
};
const PER_SECOND = 60;
/** Length of the drawn workload in seconds: longer than any scenario. */
const DRAWN_S = 120;
const TRIES_MAX = 3;
const TICK_MS = 5;
const AGAIN_MS = 200;

export class Load {
  private readonly plans: readonly MessagePlan[];
  private next = 0;
  private stopping = false;
  private running: Promise<void> | undefined;
  private readonly open = new Set<Promise<void>>();

  constructor(
    seed: number,
    private readonly names: readonly string[],
    private readonly peers: ReadonlyMap<string, Peer>,
  ) {
    const shape = { ...SHAPE, messages: DRAWN_S * PER_SECOND, toMs: DRAWN_S * 1000 };
    const nodes = names.map((name) => ({ name, startMs: 0, group: 'default' }));
    this.plans = drawMessages(new Stream(seed, 'chaos workload'), shape, nodes);
  }

  start(): void {
    this.running = this.run();
  }

  private async run(): Promise<void> {
    const startMs = performance.now();
    while (!this.stopping) {
      for (let plan = this.plans[this.next]; plan !== undefined; plan = this.plans[this.next]) {
        if (plan.atMs > performance.now() - startMs) break;
        this.next++;
        this.send(plan, 0);
      }
      await sleep(TICK_MS);
    }
  }

  private send(plan: MessagePlan, tries: number): void {
    const call = this.call(plan, tries).finally(() => this.open.delete(call));
    this.open.add(call);
  }

  /**
   * Calls through the client's node, or through the next node that is ready. If the caller gave an id and the outcome is unknown,
   * calls again through another node.
   */
  private async call(plan: MessagePlan, tries: number): Promise<void> {
    const first = Math.max(0, this.names.indexOf(plan.node)) + tries;
    const peer = this.names
      .map((_, i) => this.peers.get(this.names[(first + i) % this.names.length] as string))
      .find((p) => p?.ready === true);
    if (peer === undefined) return;
    const { entity, job, how, id, onTimeout } = plan;
    const told = await peer.call({ entity, job, how, id, onTimeout, probe: false });
    if ((told === undefined || told.outcome === 'unknown') && id !== undefined && tries < TRIES_MAX) {
      await sleep(AGAIN_MS);
      await this.call(plan, tries + 1);
    }
  }

  /** Stops sending new messages. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  /** Resolves when every call has its outcome or its process is gone, at the latest after `withinMs`. */
  async told(withinMs: number): Promise<void> {
    for (const endMs = performance.now() + withinMs; this.open.size > 0 && performance.now() < endMs; ) await sleep(20);
  }
}
