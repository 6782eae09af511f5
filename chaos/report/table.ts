/** Formats the result of a run as lines for a terminal. */
import { inWords, type Judgement } from '../judge.js';

const SHOWN_MAX = 5;

export function row(result: Judgement & { readonly name: string; readonly seconds: number }): string {
  const { name, verdict, messages, ok, failed, rejected, unknown, recoveredMs, seconds, excused, refusedEffects, leasesLost } =
    result;
  const excuses = Object.values(excused).reduce((a, b) => a + b, 0);
  const cells = [
    `${verdict === 'valid' ? 'held  ' : verdict === 'invalid' ? 'BROKEN' : 'OPEN  '} ${name.padEnd(26)}`,
    `${messages} calls: ${ok} ok, ${failed} failed, ${rejected} rejected, ${unknown} unknown`,
    `recovered in ${recoveredMs ?? 'never'} ms`,
    `${excuses} excused, ${refusedEffects} effects refused, ${leasesLost} leases lost`,
    `${seconds} s`,
  ];
  return cells.join(' | ');
}

export function tellViolations({ violations }: Judgement, say: (line: string) => void): void {
  for (const { invariant, what } of violations.slice(0, SHOWN_MAX))
    say(`  VIOLATED ${invariant} (${inWords(invariant)}): ${what}`);
  if (violations.length > SHOWN_MAX) say(`  and ${violations.length - SHOWN_MAX} more`);
}
