import { Redis } from 'ioredis';

/** Removes what a run left under its own prefix. Best effort: a server that is gone has nothing to tidy. */
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
    // nothing to tell: the run's verdict does not depend on it
  } finally {
    redis.disconnect();
  }
}
