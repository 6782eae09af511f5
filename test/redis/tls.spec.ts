import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../demo/machine.js';
import type { RedisConnectionConfig } from '../../src/redis/connection.js';
import { cli, compileCli } from '../cli/support.js';
import { Authority, describeOpenssl } from '../grpc/certificates.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { failureOf, redisStore } from './support.js';

describeRedis(
  'Redis',
  () =>
    describeOpenssl('with TLS', () => {
      let dir: string;
      let authority: Authority;
      let redis: RedisServer;
      let port: number;
      let tls: { ca: string; cert: string; key: string };
      const file = (name: string): string => join(dir, name);

      beforeAll(async () => {
        compileCli();
        dir = mkdtempSync(join(tmpdir(), 'aq-tls-'));
        authority = new Authority();
        const { ca, cert, key } = authority.issue();
        tls = { ca: String(ca), cert: String(cert), key: String(key) };
        for (const [name, content] of Object.entries(tls)) writeFileSync(file(name), content);
        port = await freePort();
        const files = ['--tls-cert-file', file('cert'), '--tls-key-file', file('key'), '--tls-ca-cert-file', file('ca')];
        redis = await startRedis({ extraArgs: ['--tls-port', String(port), ...files] });
      });

      afterAll(async () => {
        await redis.stop();
        authority.remove();
        rmSync(dir, { recursive: true, force: true });
      });

      const opened = async (connection: RedisConnectionConfig): Promise<void> => {
        const store = redisStore(0, { connection, connectTimeoutMs: 3000 });
        await store.open();
        await store.close();
      };

      it('opens with an authority and a certificate, by host or by URL', async () => {
        await opened({ host: '127.0.0.1', port, tls });
        await opened({ url: `rediss://127.0.0.1:${port}`, tls });
      });

      it('what TLS refuses names the field and is no matter of trying again', async () => {
        const untrusted = await failureOf(opened({ host: '127.0.0.1', port, tls: true }));
        expect(untrusted.message).toContain(`Redis at 127.0.0.1:${port}: the certificate of Redis is of an authority`);
        expect(untrusted.message).toContain('give it as `redis.tls.ca`');
        expect(untrusted).toMatchObject({ refused: true, permanent: true });
        const other = { ...tls, servername: 'example.org' };
        const elsewhere = await failureOf(opened({ host: '127.0.0.1', port, tls: other }));
        expect(elsewhere).toMatchObject({ permanent: true, message: expect.stringContaining('is for another host') });
        const anonymous = await failureOf(opened({ host: '127.0.0.1', port, tls: { ca: tls.ca } }));
        expect(anonymous).toMatchObject({
          permanent: true,
          message: expect.stringContaining('give `redis.tls.cert` and `redis.tls.key`'),
        });
      });

      it('says what it may be if only one end speaks TLS', async () => {
        const plain = await failureOf(opened({ host: '127.0.0.1', port }));
        expect(plain.message).toContain('if Redis speaks TLS at this port, set redis.tls or write rediss://');
        const store = redisStore(0, { connection: { url: `rediss://127.0.0.1:${redis.port}` }, connectTimeoutMs: 500 });
        expect((await failureOf(store.open())).message).toContain('TLS is on: if Redis has none at this port');
      });

      it('the command line takes the files, and says what it lacks of them', async () => {
        const url = ['--redis', `rediss://127.0.0.1:${port}`];
        const all = ['--tls-ca', file('ca'), '--tls-cert', file('cert'), '--tls-key', file('key')];
        const told = await cli('doctor', ...url, ...all);
        expect(told.stdout).toContain('redis 7');
        expect((await cli('status', '--redis', `redis://127.0.0.1:${port}`, ...all)).stderr).toContain(
          'nothing is under prefix "aq"',
        );
        expect(await cli('status', ...url)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('an authority that is not trusted: give it as --tls-ca'),
        });
        expect(await cli('status', ...url, '--tls-cert', file('cert'))).toMatchObject({
          code: 2,
          stderr: 'error: --tls-cert and --tls-key go together\n',
        });
        expect(await cli('status', ...url, '--tls-ca', file('none'))).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/^error: --tls-ca: ENOENT/),
        });
      });
    }),
  { own: true },
);
