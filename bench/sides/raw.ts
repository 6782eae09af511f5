/**
 * The physical limit. `hot` and `reply`: a plain SET of the same payload, one at a time, because both need at least one round
 * trip per message. `many`: a script that logs 250 messages per call and counts them per entity, with one call in flight. It
 * makes one transition per message, without refusals, owners or any memory of earlier messages.
 */
import { Redis } from 'ioredis';
import { BenchMessage, PADDING, StartSide } from './side.js';

const PER_CALL = 250;

/** KEYS: log, counters. ARGV: message, payload, entity; repeated. One read and two writes per call. */
const SCRIPT = `
local logged, entities, counted = {}, {}, {}
for i = 1, #ARGV, 3 do
  logged[#logged + 1] = ARGV[i]
  logged[#logged + 1] = ARGV[i + 1]
  entities[#entities + 1] = ARGV[i + 2]
end
redis.call('HSET', KEYS[1], unpack(logged))
local counts = redis.call('HMGET', KEYS[2], unpack(entities))
for i = 1, #entities do
  counts[i] = (tonumber(counts[i]) or 0) + 1
  counted[2 * i - 1] = entities[i]
  counted[2 * i] = counts[i]
end
redis.call('HSET', KEYS[2], unpack(counted))
return counts`;

/** As long as the payload of every side. Created once, because creating it is not part of the store's limit. */
const PAYLOAD = JSON.stringify({ entity: 'account:a-1234', number: 12, padding: PADDING });

export const startRaw: StartSide = async ({ redisPort, workload, witness }) => {
  const redis = new Redis({ port: redisPort });
  const sha = String(await redis.script('LOAD', SCRIPT));
  let logged = 0;
  const set = async (message: BenchMessage): Promise<number> => {
    await redis.set(message.entity, PAYLOAD);
    return witness.handle(message.entity, message.number);
  };
  const log = async (messages: readonly BenchMessage[]): Promise<void> => {
    const rows: string[] = [];
    for (const { entity } of messages) rows.push(String(logged++), PAYLOAD, entity);
    await redis.evalsha(sha, 2, 'log', 'counters', ...rows);
    for (const { entity, number } of messages) void witness.handle(entity, number);
  };
  return {
    window: 1,
    bulk: async (messages) => {
      if (workload !== 'many') for (const message of messages) await set(message);
      else for (let from = 0; from < messages.length; from += PER_CALL) await log(messages.slice(from, from + PER_CALL));
    },
    call: set,
    close: async () => redis.disconnect(),
  };
};
