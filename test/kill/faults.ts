/** What a campaign does to its processes. */
import type { Random } from '../../demo/random.js';

/** 'stop-long' outlasts the lease, 'stop-short' does not; 'terminate' is SIGTERM. */
export type Fault = 'kill' | 'kill-master' | 'kill-all' | 'stop-long' | 'stop-short' | 'terminate';

const SHARES: readonly (readonly [Fault, share: number])[] = [
  ['kill', 0.28],
  ['kill-master', 0.12],
  ['kill-all', 0.04],
  ['stop-long', 0.3],
  ['stop-short', 0.1],
  ['terminate', 0.16],
];

export function drawFault(random: Random): Fault {
  let draw = random.next();
  for (const [fault, share] of SHARES) {
    draw -= share;
    if (draw < 0) return fault;
  }
  return 'kill';
}

export type FaultCounts = Partial<Record<Fault, number>>;

/** In node TTLs. A node that stands still for the first is buried by the others, and what it ran is over; for the second it is not. */
const STOP_TTLS = { long: { min: 2, max: 4.5 }, short: { min: 0.1, max: 0.4 } } as const;

export function drawStopMs(random: Random, which: keyof typeof STOP_TTLS, nodeTTLMs: number): number {
  const { min, max } = STOP_TTLS[which];
  return Math.round((min + (max - min) * random.next()) * nodeTTLMs);
}

/** What a campaign has not met, though it had many occasions: then its verdict says little. */
export function notMet(faults: FaultCounts, met: { killedRunning: number; stoppedRunning: number; fenced: number }): string[] {
  const kills = (faults.kill ?? 0) + (faults['kill-master'] ?? 0);
  const stops = faults['stop-long'] ?? 0;
  const missing: string[] = [];
  if (kills >= 10 && met.killedRunning === 0) missing.push(`no handler ran at any of ${kills} kills`);
  if (stops >= 10 && met.stoppedRunning === 0) missing.push(`no handler ran at any of ${stops} long stops`);
  if (stops >= 10 && met.fenced === 0) missing.push(`in ${stops} long stops the fence refused nothing`);
  return missing;
}
