import { Redis } from 'ioredis';

/** Removes the keys that a run left under its prefix. Best effort: a server that has ended has no keys to remove. */
export async function forgetKeys(url: string, keyPrefix: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `*${keyPrefix}*`, 'COUNT', 1000);
      if (keys.length > 0) await redis.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  } catch {
    // Not reported: the run's verdict does not depend on the cleanup.
  } finally {
    redis.disconnect();
  }
}
