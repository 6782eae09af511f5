/**
 * The production adapter of one simulated node: `RedisStore` with its connection, codec and scripts, on a client that uses the
 * simulated network. Every call is three events, as in sim-store.ts.
 */
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import type { Clock } from '../../src/ports/clock.js';
import type { Store } from '../../src/ports/store.js';
import { encodeBatch } from '../../src/redis/codec.js';
import { encodeControl } from '../../src/redis/codec-control.js';
import { RedisStore } from '../../src/redis/store.js';
import type { Applied } from '../applied-log.js';
import type { Stream } from '../sim-random.js';
import { copyOf } from '../sim-store.js';
import { Arrival, type Direction, StorePath } from '../store-path.js';
import { NOT_RUN, type Request, type StoreServer } from '../store-server.js';
import { type Life, never, SimEvent } from '../world.js';
import { KEY_PREFIX, type LuaLockstep } from './lockstep.js';
import { type Asked, type Link, type ScriptAsked, SimClient } from './sim-client.js';
import { ReplyError } from './sim-redis.js';

/** A step that the adapter is about to encode. The server looks it up by its arguments, since the core needs the decoded step. */
interface Announced extends Request {
  readonly args: readonly string[];
}

type Answer = unknown;

/** A script call that stands for a step of the protocol. */
interface Step {
  readonly asked: ScriptAsked;
  readonly request: Request;
}

/** The connection of one life to the server. */
export class Wire {
  readonly path: StorePath;
  private readonly announced: Announced[] = [];

  constructor(
    readonly server: StoreServer,
    readonly life: Life,
    readonly chance: Stream,
  ) {
    this.path = new StorePath(server, life, chance);
  }

  async announce<T>(request: Announced, run: () => Promise<T>): Promise<T> {
    this.announced.push(request);
    try {
      return await run();
    } finally {
      const at = this.announced.indexOf(request);
      if (at >= 0) this.announced.splice(at, 1);
    }
  }

  /** Finds the announced step that has the arguments of that call. */
  private stepOf(asked: Asked): Step | undefined {
    if (asked.kind !== 'script') return undefined;
    const { args } = asked;
    const isIt = (one: Announced): boolean => one.args.length === args.length && one.args.every((arg, i) => arg === args[i]);
    const found = this.announced.find(isIt);
    return found && { asked, request: { batch: found.batch, op: found.op, args } };
  }

  /** Opens a connection. Rejects if the server cannot be reached. */
  dial(): Promise<void> {
    if (!this.life.alive) return never();
    return new Promise((resolve, reject) => {
      this.path.dial((isReached) => {
        if (isReached) resolve();
        else reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
      });
    });
  }

  send(client: SimClient, link: Link, asked: Asked, settle: (answer: Answer) => void): void {
    if (this.life.alive) this.path.leaveLater(new WireCall(this, client, link, asked, this.stepOf(asked), settle));
  }

  /** Returns the delay of one way in ms. The order is kept, as in a stream. */
  delayMs(direction: Direction, content: unknown, isHeartbeat: boolean): number {
    return this.path.inTurnMs(this.path.drawDelayMs(), direction, content, isHeartbeat);
  }
}

class WireCall extends SimEvent {
  private stage: 'leaving' | 'back' | 'broken' = 'leaving';
  private answer: Answer;
  private applied: Applied | undefined;

  constructor(
    readonly wire: Wire,
    private readonly client: SimClient,
    readonly link: Link,
    readonly asked: Asked,
    readonly step: Step | undefined,
    private readonly settle: (answer: Answer) => void,
  ) {
    super(wire.life);
  }

  fire(): void {
    const { link } = this;
    if (this.stage === 'leaving') this.leave();
    else if (!link.isOpen) return;
    else if (this.stage === 'broken') this.client.broken();
    else {
      if (this.applied !== undefined) this.applied.acknowledged = true;
      this.settle(this.answer);
    }
  }

  private leave(): void {
    const { wire, link } = this;
    const { server, chance, life } = wire;
    const { world, conditions, hits } = server;
    if (!link.isOpen) return;
    this.stage = 'back';
    if (!conditions.reachesStore(life.host)) {
      hits.unreachable++;
      // A refused connection breaks at once. A silent network holds it.
      if (chance.chance(0.3)) this.breaks();
      else link.isOutHeld = true;
      return;
    }
    if (conditions.hit('lateCopy', life.host, chance)) {
      if (!link.isOutHeld) world.push(new LateRequest(this), chance.logBetween(5, 8000));
      link.isOutHeld = true;
      return;
    }
    if (conditions.hit('requestLost', life.host, chance)) {
      hits.requestLost++;
      link.isOutHeld = true;
    }
    if (!link.isOutHeld) world.push(new Arrival(this), wire.delayMs('out', this.asked, this.isHeartbeat));
  }

  /** Reports the broken connection to its client. */
  private breaks(): void {
    this.stage = 'broken';
    this.wire.server.world.push(this, this.wire.chance.between(0, 20));
  }

  arrived(): void {
    const { wire, link, step } = this;
    const { server, chance, life } = wire;
    if (!server.conditions.reachesStore(life.host)) {
      server.hits.unreachable++;
      link.isOutHeld = true;
      return;
    }
    if (link.runId !== server.runId) {
      this.breaks();
      return;
    }
    if (step === undefined) this.answer = answerOf(server, this.asked);
    else if (!this.apply(step)) return;
    if (!life.alive) return;
    const isLost = step !== undefined && server.conditions.hit('replyLost', life.host, chance);
    if (isLost) {
      server.hits.replyLost++;
      link.isInHeld = true;
    }
    // If the client has dropped the connection, the answer takes no time on the link.
    const content = link.isOpen ? this.answer : '';
    if (!link.isInHeld) server.world.push(this, wire.delayMs('in', content, this.isHeartbeat));
  }

  private get isHeartbeat(): boolean {
    return this.step?.request.op?.op === 'heartbeat';
  }

  /** Returns false if a fault has killed the sender. */
  private apply({ asked, request }: Step): boolean {
    const { server, life, chance } = this.wire;
    const lockstep = server.lockstep as LuaLockstep;
    this.answer = lockstep.unknownScript(asked);
    if (this.answer !== undefined) return true;
    const outcome = server.receive(life, chance, request);
    if (outcome === undefined) return false;
    if ('refusal' in outcome)
      this.answer = NOT_RUN.has(outcome.refusal) ? new ReplyError(outcome.refusal) : lockstep.refused(asked, server.conditions);
    else {
      this.answer = lockstep.answer;
      this.applied = outcome.step;
    }
    return true;
  }
}

/** Delivers a request that a held connection had buffered. The sender has usually dropped that connection by then. */
class LateRequest extends SimEvent {
  constructor(private readonly call: WireCall) {
    super(undefined);
  }

  fire(): void {
    const { wire, step, link } = this.call;
    const { server, life } = wire;
    if (step !== undefined && link.runId === server.runId && server.conditions.reachesStore(life.host))
      server.receiveLate(life, step.request);
  }
}

/** Returns the server's answer to a call that is not a step of the protocol. */
function answerOf(server: StoreServer, asked: Asked): Answer {
  const lockstep = server.lockstep as LuaLockstep;
  try {
    if (asked.kind === 'script') return lockstep.unknownScript(asked) ?? lockstep.run(asked);
    const [first = '', second = ''] = asked.args;
    switch (asked.name) {
      case 'info':
        return infoOf(server, first);
      case 'config':
        return [second, 'noeviction'];
      case 'script':
        return lockstep.learn(second);
      default:
        return lockstep.command(asked.name, ...asked.args);
    }
  } catch (error) {
    if (error instanceof ReplyError) return error;
    throw error;
  }
}

function infoOf({ conditions, runId }: StoreServer, section: string): string {
  if (section === 'server') return `run_id:${runId}\r\n`;
  if (section === 'replication') return `role:${conditions.refusing === 'readonly' ? 'slave' : 'master'}\r\n`;
  return 'maxmemory_policy:noeviction\r\n';
}

/** The production adapter of one life. */
export class LuaStore implements Store {
  private readonly wire: Wire;
  private readonly store: RedisStore;
  /** Carries the heartbeats on thin links. In production, the thread that sends them also has its own connection. */
  private readonly heartbeats: LuaStore | undefined;

  constructor(
    server: StoreServer,
    life: Life,
    chance: Stream,
    storeCallTimeoutMs: number,
    clock: Clock,
    isForHeartbeats = false,
  ) {
    const wire = new Wire(server, life, chance);
    this.wire = wire;
    const connection = (): SimClient => new SimClient(wire, clock);
    this.store = new RedisStore({ connection, keyPrefix: KEY_PREFIX, storeCallTimeoutMs, clock });
    if (wire.path.isThin && !isForHeartbeats)
      this.heartbeats = new LuaStore(server, life, chance, storeCallTimeoutMs, clock, true);
  }

  apply(batch: Batch, patience?: number): Promise<BatchReply> {
    const copy = copyOf(batch);
    return this.wire.announce({ batch: copy, args: encodeBatch(copy, '') }, () => this.store.apply(batch, patience));
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (op.op === 'heartbeat' && this.heartbeats !== undefined) return this.heartbeats.control(op);
    return this.wire.announce({ op, args: encodeControl(op, '') }, () => this.store.control(op));
  }

  onReplaced(listener: (why: string) => void): void {
    this.store.onReplaced(listener);
  }

  async open(): Promise<void> {
    if (!this.wire.life.alive) return never();
    await this.store.open();
    await this.heartbeats?.open();
  }

  async close(): Promise<void> {
    await this.heartbeats?.close();
    await this.store.close();
  }
}
