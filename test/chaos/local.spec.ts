import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../chaos/driver.js';
import { LocalDriver } from '../../chaos/local.js';
import { serverPorts } from '../../chaos/ports.js';

describe('a world of child processes', () => {
  const root = mkdtempSync(join(tmpdir(), 'aq-chaos-local-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const program = (name: string, script: string): string => {
    const path = join(root, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const opened = (redisServer: string): Promise<unknown> =>
    new LocalDriver({ redisServer, toxiproxy: 'none', toxiproxyVersion: '', nodeFile: '' }).open({
      names: ['n1'],
      dir: mkdtempSync(join(root, 'run-')),
      controlPort: 1,
    });

  it('tells in one line why a server does not start', async () => {
    const taken = program('taken', 'echo starting; echo "bind: Address already in use"; exit 1');
    await expect(opened(taken)).rejects.toThrow(new UsageError('redis-server did not start: bind: Address already in use'));
    await expect(opened(join(root, 'none'))).rejects.toThrow(UsageError);
  });

  it('has ports that no connection that goes out takes meanwhile', async () => {
    const [from = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/).map(Number);
    // Where nearly all ports go out, these are at least not of the usual range.
    const below = from > 11_000 ? from : 32_768;
    const ports = await serverPorts(200);
    expect(new Set(ports).size).toBe(200);
    expect(ports.filter((port) => port >= below)).toEqual([]);
  });
});
