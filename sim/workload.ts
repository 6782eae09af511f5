/**
 * Draws what clients send: a bank with hot and cold accounts, calls that wait, sends of handlers, calls between accounts, and bad
 * handlers.
 */
import { type How, type Job, type Target, TYPES } from './job.js';
import type { MessagePlan, NodePlan } from './plan.js';
import type { Stream } from './sim-random.js';

export interface WorkloadShape {
  readonly entities: number;
  readonly messages: number;
  /** Messages are sent between these two times, in ms. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Longest time of an ordinary handler, in ms. */
  readonly workMsMax: number;
  /** Share of handlers that outlast a lease, and the range of their times in ms. */
  readonly longs: number;
  readonly longMs: readonly [number, number];
  /** Shares of messages. */
  readonly bad: number;
  readonly waits: number;
  readonly given: number;
  readonly sends: number;
  readonly asks: number;
  /** Share of calls with an id that a second caller makes at about the same time on another node. */
  readonly doubles: number;
  /** Maximum depth of handlers that send or ask. */
  readonly chainMax: number;
  /** Share of handlers that end slowly after their signal aborts, and the longest time in ms that this takes. */
  readonly lags: number;
  readonly lagMsMax: number;
  /** Shares of handlers that ignore their signal, and of handlers that never end. */
  readonly deaf: number;
  readonly dead: number;
}

/** Share of handlers down a chain that send or ask. */
const CHAIN_SHARE = 0.3;
/** A second caller with the same id follows within this time, in ms. */
const DOUBLE_MS_MAX = 40;

export function drawMessages(chance: Stream, shape: WorkloadShape, nodes: readonly NodePlan[]): MessagePlan[] {
  const entities = Array.from({ length: shape.entities }, (_, i) => `${TYPES[i % TYPES.length]}:${i}`);
  const draws = new Draws(chance, shape, entities);
  const messages: MessagePlan[] = [];
  for (let i = 0; i < shape.messages; i++) {
    const atMs = chance.int(shape.fromMs, shape.toMs);
    // Some messages come in bursts from one client. Their order is the order of their calls.
    const burst = chance.chance(0.1) ? chance.int(2, 5) : 1;
    const entity = draws.entity();
    const node = chance.pick(nodes).name;
    for (let b = 0; b < burst && i + b < shape.messages; b++) {
      const message = draws.message(`m${i + b}`, atMs, node, entity);
      messages.push(message);
      const others = nodes.filter((other) => other.name !== node);
      if (message.id !== undefined && others.length > 0 && chance.chance(shape.doubles))
        messages.push({ ...message, atMs: atMs + chance.int(0, DOUBLE_MS_MAX), node: chance.pick(others).name });
    }
    i += burst - 1;
  }
  return messages.sort((a, b) => a.atMs - b.atMs);
}

class Draws {
  constructor(
    private readonly chance: Stream,
    private readonly shape: WorkloadShape,
    private readonly entities: readonly string[],
  ) {}

  /** Draws an entity. Half of the messages go to a few hot entities. */
  entity(): string {
    const { chance, entities } = this;
    return chance.chance(0.5) ? (entities[chance.int(0, Math.min(3, entities.length - 1))] as string) : chance.pick(entities);
  }

  message(c: string, atMs: number, node: string, entity: string): MessagePlan {
    const { chance, shape } = this;
    const how = chance.chance(shape.waits) ? 'wait' : 'enqueue';
    const job = this.job(c, entity, 0);
    return {
      ...{ atMs, node, entity, how, job },
      ...(chance.chance(shape.given) ? { id: `id-${c}` } : {}),
      ...(how === 'wait' && chance.chance(0.4) ? { onTimeout: 'withdraw' as const } : {}),
    };
  }

  private job(c: string, entity: string, depth: number): Job {
    const { chance, shape } = this;
    const op = chance.pick(['deposit', 'deposit', 'withdraw', 'read'] as const);
    const ms = this.workMs();
    const how = this.how();
    const isDeaf = how === 'deaf';
    const lagMs = !isDeaf && chance.chance(shape.lags) ? this.lagMs() : 0;
    const job: Job = {
      ...{ c, op, amount: chance.int(1, 100), ms: isDeaf ? chance.logBetween(ms + 100, 5000) : ms, how },
      ...(lagMs > 0 ? { lagMs } : {}),
    };
    const sends: Target[] = [];
    if (depth < shape.chainMax && chance.chance(depth === 0 ? shape.sends : CHAIN_SHARE))
      for (let i = chance.int(1, 2); i > 0; i--) {
        const to = this.entity();
        sends.push({ entity: to, job: this.job(`${c}.${i}`, to, depth + 1) });
      }
    const asks =
      depth < shape.chainMax && chance.chance(depth === 0 ? shape.asks : CHAIN_SHARE * shape.asks) ? this.entity() : entity;
    return {
      ...job,
      ...(sends.length > 0 ? { sends } : {}),
      ...(asks !== entity ? { ask: { entity: asks, job: this.job(`${c}.a`, asks, depth + 1) } } : {}),
    };
  }

  private workMs(): number {
    const { chance, shape } = this;
    if (chance.chance(shape.longs)) return chance.logBetween(...shape.longMs);
    return chance.chance(0.1) ? chance.int(shape.workMsMax, shape.workMsMax * 4) : chance.int(0, shape.workMsMax);
  }

  /** Draws how long a handler goes on after its signal aborts. Many take nearly the longest allowed time. */
  private lagMs(): number {
    const { chance, shape } = this;
    return chance.int(chance.chance(0.5) ? Math.ceil(shape.lagMsMax * 0.9) : 1, shape.lagMsMax);
  }

  private how(): How {
    const { chance, shape } = this;
    if (chance.chance(shape.dead)) return 'dead';
    if (chance.chance(shape.deaf)) return 'deaf';
    if (!chance.chance(shape.bad)) return 'ok';
    return chance.pick(['throw', 'refuse', 'throw-first', 'throw-first'] as const);
  }
}
