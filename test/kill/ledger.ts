/**
 * The handlers' own store: what each has done to its entity, in the order in which it came. It keeps the highest fence of
 * each entity and refuses what carries a lower one, as a user's database would.
 */
import type { Redis } from 'ioredis';

export interface Effect {
  readonly entity: string;
  readonly ref: string;
  readonly run: number;
  readonly seq: number;
  readonly attempt: number;
  readonly fence: number;
}

const PREFIX = 'ledger:';

/** KEYS: the entity's effects, and its fence. ARGV: the effect, its fence. Answers 1, or 0 for one that comes too late. */
const WRITE = `
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('RPUSH', KEYS[1], ARGV[1])
return 1`;

export class Ledger {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** False: the entity has a newer owner, which has written already. */
  async write(effect: Effect): Promise<boolean> {
    const { entity, fence } = effect;
    const keys = [`${PREFIX}effects:${entity}`, `${PREFIX}fence:${entity}`] as const;
    return (await this.#redis.eval(WRITE, 2, ...keys, JSON.stringify(effect), fence)) === 1;
  }

  /** All effects, those of each entity in their order. */
  async read(): Promise<Effect[]> {
    const keys = await this.#redis.keys(`${PREFIX}effects:*`);
    const lists = await Promise.all(keys.map((key) => this.#redis.lrange(key, 0, -1)));
    return lists.flat().map((text) => JSON.parse(text) as Effect);
  }
}
