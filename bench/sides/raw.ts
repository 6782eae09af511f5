/** The physical limit: a plain SET of the same payload, one at a time. A hot entity and a lone caller cannot be faster than that. */
import { Redis } from 'ioredis';
import { BenchMessage, PADDING, StartSide } from './side.js';

export const startRaw: StartSide = async ({ redisPort, witness }) => {
  const redis = new Redis({ port: redisPort });
  const set = async ({ entity, number }: BenchMessage): Promise<number> => {
    await redis.set(entity, JSON.stringify({ entity, number, padding: PADDING }));
    return witness.handle(entity, number);
  };
  return {
    window: 1,
    bulk: async (messages) => {
      for (const message of messages) await set(message);
    },
    call: set,
    close: async () => redis.disconnect(),
  };
};
