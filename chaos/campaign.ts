/**
 * `--campaign`: plays seeded rounds of random process faults until the time is over. A round is a generated scenario: three to
 * five nodes over gRPC or pub/sub, and twelve faults that may overlap.
 */
import { Stream } from '../sim/sim-random.js';
import type { Judgement } from './judge.js';
import type { Scenario } from './scenarios/scenario.js';
import { SETTINGS } from './settings.js';
import type { Stage } from './stage.js';

/**
 * A process fault. 'stop-long' outlasts the lease, 'stop-short' does not; 'terminate' is a graceful stop, as SIGTERM causes it.
 */
export type Blow = 'kill' | 'kill-master' | 'kill-all' | 'stop-long' | 'stop-short' | 'terminate';

const WEIGHTS: Readonly<Record<Blow, number>> = {
  ...{ kill: 7, 'kill-master': 3, 'kill-all': 1, terminate: 4 },
  ...{ 'stop-long': 7, 'stop-short': 3 },
};
const BAG = (Object.keys(WEIGHTS) as Blow[]).flatMap((blow) => Array.from({ length: WEIGHTS[blow] }, () => blow));

const BLOWS = 12;
const NODES = { min: 3, max: 5 };
const PUBSUB = 0.25;
/** Probability that the next fault begins before the previous one is over. */
const OVERLAP = 0.3;
const SAME_SERVER = 0.5;
const BUSY = { entities: 6, chance: 0.6, deaf: 0.3, ms: { min: 300, max: 3000 } };
/** Duration of a stop, in leases. The other nodes evict a node after a long stop. No node may be evicted after a short one. */
const STOP_LEASES = { long: { min: 2.5, max: 4.5 }, short: { min: 0.1, max: 0.4 } } as const;
const DOWN_MS_MAX = 1500;
const BETWEEN_MS_MAX = 1500;
/** Number of faults of one kind after which at least one must have had an effect. */
const MANY = 10;

export interface Round extends Scenario {
  /** Faults that were applied so far. */
  readonly fallen: readonly Blow[];
}

export function roundOf(seed: number): Round {
  const chance = new Stream(seed, 'campaign');
  const nodes = chance.int(NODES.min, NODES.max);
  const pubsub = chance.chance(PUBSUB);
  const fallen: Blow[] = [];
  return {
    name: `campaign-${seed}`,
    shows: 'whatever strikes its processes, the cluster keeps its promises',
    faults: [`${BLOWS} blows to ${nodes} nodes over ${pubsub ? 'pub/sub' : 'gRPC'}, as seed ${seed} draws them`],
    twin: 'crash',
    ...{ nodes, pubsub, must: [], fallen },
    play: (stage) => new Strikes(stage, chance, fallen).play(),
  };
}

class Strikes {
  /** Nodes that are down or stopped, each with a promise that resolves when the node is back. */
  private readonly away = new Map<string, Promise<void>>();
  private readonly all: Promise<void>[] = [];
  private busy = 0;

  constructor(
    private readonly stage: Stage,
    private readonly chance: Stream,
    private readonly fallen: Blow[],
  ) {}

  async play(): Promise<void> {
    for (let i = 0; i < BLOWS; i++) {
      const blow = this.chance.pick(BAG);
      await this.strike(blow);
      this.fallen.push(blow);
      if (!this.chance.chance(OVERLAP)) await this.everybody();
      await this.stage.sleep(this.chance.between(0, BETWEEN_MS_MAX));
    }
    await Promise.all(this.all);
  }

  private async everybody(): Promise<void> {
    await Promise.all(this.away.values());
  }

  private async strike(blow: Blow): Promise<void> {
    const { stage } = this;
    if (blow === 'kill-all') {
      await this.everybody();
      await stage.nodes.kill(...stage.names);
      for (const name of stage.names) this.leave(name, this.back(name));
      return;
    }
    const name = await this.victim(blow);
    await this.occupy(name);
    if (blow === 'stop-long' || blow === 'stop-short') {
      const { min, max } = STOP_LEASES[blow === 'stop-long' ? 'long' : 'short'];
      this.leave(name, this.stopped(name, this.chance.between(min, max) * SETTINGS.nodeTTLMs));
      return;
    }
    await (blow === 'terminate' ? stage.nodes.stop(name) : stage.nodes.kill(name));
    this.leave(name, this.back(name));
  }

  /** Picks a node that is not away. The node may still be starting. */
  private async victim(blow: Blow): Promise<string> {
    const { stage, away, chance } = this;
    if (away.size === stage.names.length) await Promise.race(away.values());
    const there = stage.names.filter((name) => !away.has(name));
    const { master } = stage.storeLog;
    return blow === 'kill-master' && there.includes(master) ? master : chance.pick(there);
  }

  /**
   * With probability `BUSY.chance`, starts long handlers before the fault, some of which ignore their signal. A message waits
   * behind each of them for the node that takes over.
   */
  private async occupy(via: string): Promise<void> {
    const { chance, stage } = this;
    if (!chance.chance(BUSY.chance)) return;
    for (let i = 0; i < BUSY.entities; i++) {
      const ms = chance.between(BUSY.ms.min, BUSY.ms.max);
      const entity = `fenced:busy-${++this.busy}`;
      stage.send(via, entity, ms, chance.chance(BUSY.deaf) ? 'deaf' : 'ok');
      stage.send(via, entity, 5);
    }
    await stage.sleep(chance.between(50, 500));
  }

  private leave(name: string, until: Promise<void>): void {
    this.all.push(until);
    this.away.set(name, until);
    const back = (): void => void this.away.delete(name);
    until.then(back, back);
  }

  private async back(name: string): Promise<void> {
    const { chance, stage } = this;
    const isSame = chance.chance(SAME_SERVER);
    await stage.sleep(chance.between(0, DOWN_MS_MAX));
    if (isSame) stage.nodes.start(name);
    else stage.nodes.startAnew(name);
    await stage.nodes.ready(name);
  }

  private async stopped(name: string, ms: number): Promise<void> {
    const resume = await this.stage.pause(name);
    await this.stage.sleep(ms);
    await resume();
  }
}

/** Returns the effects that a campaign did not have although it had many occasions. Its verdict then says little. */
export function notMet(blows: ReadonlyMap<Blow, number>, judgements: readonly Judgement[]): string[] {
  const count = (blow: Blow): number => blows.get(blow) ?? 0;
  const kills = count('kill') + count('kill-master');
  const stops = count('stop-long');
  const interrupted = judgements.reduce((sum, { log }) => sum + log.interrupted, 0);
  const refused = judgements.reduce((sum, { refusedEffects }) => sum + refusedEffects, 0);
  return [
    ...(kills >= MANY && interrupted === 0 ? [`no handler was interrupted by ${kills} kills`] : []),
    ...(stops >= MANY && refused === 0 ? [`in ${stops} long stops the fence refused nothing`] : []),
  ];
}
