/** Finds ports of this machine for the servers of a run. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 10_000;
const OUTGOING_FROM = 32_768;

/** Returns the lowest port that the system uses for outgoing connections. */
function outgoingFrom(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
  } catch {
    return OUTGOING_FROM;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/**
 * Returns free ports below those of outgoing connections. A server that is down for a while must find its port free when it comes
 * back. In the range of outgoing connections, a client that dials it meanwhile would now and then connect to itself.
 */
export async function serverPorts(count: number): Promise<number[]> {
  const from = outgoingFrom();
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(LOWEST, from > LOWEST + 1000 ? from : OUTGOING_FROM);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}
