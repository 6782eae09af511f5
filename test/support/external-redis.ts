import { connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';

/** Logical databases of the default redis.conf, without 0: that one may hold somebody's data. */
const DATABASES = Array.from({ length: 15 }, (_, i) => i + 1);
const CLAIM_TTL_S = 3600;

const claimKey = (db: number): string => `atomic-queues-test:claim:${db}`;

/** Claims a logical database that is empty, so that nothing of the server's owner can be touched. */
async function claimDatabase(control: Redis): Promise<number> {
  for (const db of DATABASES) {
    if ((await control.set(claimKey(db), process.pid, 'EX', CLAIM_TTL_S, 'NX')) === null) continue;
    await control.select(db);
    const size = await control.dbsize();
    await control.select(0);
    if (size === 0) return db;
    await control.del(claimKey(db));
  }
  throw new Error('REDIS_URL: no empty logical database among 1 to 15 is free for the tests');
}

const command = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join('')}`;

/** Opens a connection whose first replies, those of `preamble`, never reach the client. */
function forward(client: Socket, url: URL, preamble: readonly string[]): void {
  const server = connect(Number(url.port || 6379), url.hostname || '127.0.0.1');
  const drop = () => {
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) socket.on('error', drop).on('close', drop).setNoDelay(true);
  server.write(preamble.join(''));
  let pending = preamble.length;
  let head = '';
  server.on('data', function onHead(chunk: Buffer) {
    head += chunk.toString('latin1');
    while (pending > 0) {
      const end = head.indexOf('\r\n');
      if (end < 0) return;
      if (!head.startsWith('+')) return drop();
      head = head.slice(end + 2);
      pending--;
    }
    server.off('data', onHead);
    if (head !== '') client.write(Buffer.from(head, 'latin1'));
    server.pipe(client);
    client.pipe(server);
  });
}

export interface ExternalRedis {
  readonly port: number;
  release(): Promise<void>;
}

/**
 * A local port that leads into an empty logical database of the server at `REDIS_URL`: clients that know only a port, and
 * the default database, stay inside it.
 */
export async function openExternal(redisUrl: string): Promise<ExternalRedis> {
  const url = new URL(redisUrl);
  const base = new URL(url);
  base.pathname = '';
  const control = new Redis(base.href, { maxRetriesPerRequest: 1 });
  const db = await claimDatabase(control);
  const preamble = [command('SELECT', String(db))];
  if (url.password !== '') {
    const user = url.username === '' ? [] : [decodeURIComponent(url.username)];
    preamble.unshift(command('AUTH', ...user, decodeURIComponent(url.password)));
  }
  const proxy = createServer((client) => forward(client, url, preamble));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    async release() {
      proxy.close();
      await control.select(db);
      await control.flushdb();
      await control.select(0);
      await control.del(claimKey(db));
      control.disconnect();
    },
  };
}
