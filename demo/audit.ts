/** Holds what the clients were told against what the bank shows, message by message and cent by cent. */
import { Bank } from './bank.js';
import { Clients, Told } from './clients.js';
import { Deposit } from './messages.js';

export interface Audit {
  /** Accepted messages: those of the clients, and the deposits that completed transfers sent. */
  readonly messages: number;
  readonly completed: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly withdrawn: number;
  readonly deadLetters: number;
  readonly lostUpdates: number;
  readonly overdrafts: number;
  readonly balanceHeld: boolean;
  /** Money in deposits that ended as dead letters: not booked, not lost. */
  readonly heldCents: number;
  /** What does not add up, in words; empty when everything held. */
  readonly violations: readonly string[];
}

interface Runs {
  readonly booked: number;
  readonly refused: number;
}

const tally = (refs: Iterable<{ readonly ref: string }>): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const { ref } of refs) counts.set(ref, (counts.get(ref) ?? 0) + 1);
  return counts;
};

/** What the bank must show of a message, given what its client was told. */
function contradiction(ref: string, verdict: Told['verdict'] | 'sent', { booked, refused }: Runs): string | undefined {
  if (booked + refused > 1) return `${ref} ran ${booked + refused} times`;
  if (verdict === 'completed' && booked !== 1) return `${ref} was told completed, but is not in the journal`;
  if (verdict === 'failed' && refused !== 1) return `${ref} was told failed, but no handler refused it`;
  if (verdict === 'withdrawn' && booked + refused > 0) return `${ref} was told withdrawn, but ran`;
  if (verdict === 'sent' && booked + refused === 0) return `${ref} was sent by a completed transfer and never ran`;
  if (verdict === 'unknown') return `nobody knows what became of ${ref}`;
  return undefined;
}

/** `startCents` is all money at the start: balances and the clients' cash. */
export function audit(bank: Bank, clients: Clients, startCents: number): Audit {
  const booked = tally(bank.journal);
  const refused = tally(bank.refusals);
  const verdicts = new Map<string, Told['verdict'] | 'sent'>();
  for (const [ref, { verdict }] of clients.told) verdicts.set(ref, verdict);
  const sent = clients.sentDeposits();
  for (const ref of sent) verdicts.set(ref, 'sent');

  const violations: string[] = [];
  const counts = { completed: 0, failed: 0, interrupted: 0, withdrawn: 0 };
  for (const [ref, verdict] of verdicts) {
    const runs = { booked: booked.get(ref) ?? 0, refused: refused.get(ref) ?? 0 };
    const problem = contradiction(ref, verdict, runs);
    if (problem) violations.push(problem);
    if (verdict === 'interrupted' || verdict === 'withdrawn') counts[verdict]++;
    else if (runs.booked > 0) counts.completed++;
    else if (runs.refused > 0) counts.failed++;
  }
  for (const ref of [...booked.keys(), ...refused.keys()])
    if (!verdicts.has(ref)) violations.push(`${ref} ran, but nobody sent it`);

  const heldCents = heldByDeadLetters(clients, refused);
  const endCents = bank.totalCents() + clients.cashCents + heldCents;
  if (endCents !== startCents) violations.push(`the money is off by ${(endCents - startCents) / 100}`);
  if (bank.wrongBalances() > 0) violations.push(`${bank.wrongBalances()} balances differ from their journals`);
  if (bank.lostUpdates > 0) violations.push(`${bank.lostUpdates} lost updates`);
  if (bank.overdrafts > 0) violations.push(`${bank.overdrafts} overdrafts`);
  const terminal = counts.completed + counts.failed + counts.interrupted + counts.withdrawn;
  if (terminal !== verdicts.size) violations.push(`${verdicts.size} messages were accepted, but ${terminal} ended`);
  return {
    messages: verdicts.size,
    ...counts,
    deadLetters: counts.failed + counts.interrupted,
    lostUpdates: bank.lostUpdates,
    overdrafts: bank.overdrafts,
    balanceHeld: bank.wrongBalances() === 0 && endCents === startCents,
    heldCents,
    violations,
  };
}

function heldByDeadLetters(clients: Clients, refused: ReadonlyMap<string, number>): number {
  let heldCents = 0;
  for (const { message } of clients.told.values()) {
    if (message instanceof Deposit && refused.has(message.ref)) heldCents += message.amountCents;
    else if (!(message instanceof Deposit) && message.toAccountId && refused.has(`${message.ref}/in`))
      heldCents += message.amountCents;
  }
  return heldCents;
}
