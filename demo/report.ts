/** The demo's output: a progress line on a terminal, and a report of a few lines. */
import { ClusterResult } from './cluster.js';
import { NaiveResult } from './naive.js';
import { QueuedResult } from './queued.js';

const count = (value: number): string => value.toLocaleString('en-US');
const money = (cents: number): string => (cents / 100).toLocaleString('en-US', { minimumFractionDigits: 2 });

export class Progress {
  private shownAtMs = 0;

  constructor(
    private readonly label: string,
    private readonly total: number,
  ) {}

  /** Updates the progress line. Cheap enough to call per message: it draws at most ten times a second, and only on a terminal. */
  readonly update = (done: number): void => {
    if (!process.stderr.isTTY) return;
    const nowMs = performance.now();
    if (nowMs - this.shownAtMs < 100) return;
    this.shownAtMs = nowMs;
    process.stderr.write(`\r\x1b[K${this.label}: ${count(done)} of ${count(this.total)} messages`);
  };

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

export function naiveStory(result: NaiveResult, accounts: number): string[] {
  return [
    `Without the library: ${count(result.messages)} messages in ${result.seconds.toFixed(1)} s`,
    `  ${count(result.lostUpdates)} lost updates, ${count(result.overdrafts)} overdrafts; ` +
      `${count(result.wrongBalances)} of ${count(accounts)} balances differ from their own journal`,
  ];
}

export function queuedStory(result: QueuedResult, where: string): string[] {
  const perSecond = Math.round(result.messages / result.seconds);
  const lines = [
    `With atomic-queues (${where}): ${count(result.messages)} messages in ${result.seconds.toFixed(1)} s, ${count(perSecond)} a second`,
    `  ${count(result.lostUpdates)} lost updates, ${count(result.overdrafts)} overdrafts`,
    `  ${count(result.messages)} accepted = ${count(result.completed)} completed + ${count(result.failed)} failed + ` +
      `${count(result.interrupted)} interrupted + ${count(result.withdrawn)} withdrawn`,
    `  ${count(result.deadLetters)} dead letters, which hold ${money(result.heldCents)}`,
  ];
  if (result.violations.length === 0) {
    lines.push('  Held: every balance equals its journal, and all money is accounted for, to the cent.');
  } else {
    lines.push(`  VIOLATED: ${result.violations.slice(0, 10).join('; ')}`);
    if (result.violations.length > 10) lines.push(`  ... and ${count(result.violations.length - 10)} more`);
  }
  return lines;
}

/** Returns lines on which nodes ran the handlers and which node was killed; empty for a run on one node. */
export function clusterStory({ runsByNode, killed }: Partial<ClusterResult>): string[] {
  if (runsByNode === undefined) return [];
  const lines = [
    `  Handlers ran on ${Object.entries(runsByNode)
      .map(([node, runs]) => `${node}: ${count(runs)}`)
      .join(', ')}`,
  ];
  if (killed !== undefined)
    lines.push(`  ${killed.node} was ended by kill -9 in mid-run; at least ${count(killed.running)} handlers ran there`);
  return lines;
}
