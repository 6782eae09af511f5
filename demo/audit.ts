/** Compares the outcomes that the clients received with the bank's journal and balances, message by message and cent by cent. */
import { Bank } from './bank.js';
import { Clients, Told } from './clients.js';
import { Deposit } from './messages.js';

type End = 'completed' | 'failed' | 'interrupted' | 'withdrawn';

export interface Audit extends Readonly<Record<End, number>> {
  /** Number of accepted messages: those of the clients, and the deposits that completed transfers sent. */
  readonly messages: number;
  readonly deadLetters: number;
  readonly lostUpdates: number;
  readonly overdrafts: number;
  readonly balanceHeld: boolean;
  /** Cents in messages that ended as dead letters: not booked, or taken and not passed on. This money is not lost. */
  readonly heldCents: number;
  /** Descriptions of the violations found; empty if every check passed. */
  readonly violations: readonly string[];
}

/** A dead letter as listed by the store. */
export interface DeadLetter {
  readonly ref: string;
  readonly reason: 'failed' | 'interrupted';
}

interface Accepted {
  readonly message: Told['message'];
  /** 'sent': a completed transfer sent the message, and no client waits for it. */
  readonly verdict: Told['verdict'] | 'sent';
  readonly booked: number;
  readonly refused: number;
  readonly letters: readonly DeadLetter[];
}

function grouped<T extends { readonly ref: string }>(rows: Iterable<T>): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.ref);
    if (group === undefined) groups.set(row.ref, [row]);
    else group.push(row);
  }
  return groups;
}

/** Returns how a message ended; undefined if there is no evidence that it ended. */
function endOf({ verdict, booked, refused, letters }: Accepted): End | undefined {
  if (verdict === 'interrupted' || verdict === 'withdrawn') return verdict;
  if (verdict === 'sent' && letters.some(({ reason }) => reason === 'interrupted')) return 'interrupted';
  if (booked > 0) return 'completed';
  return refused > 0 ? 'failed' : undefined;
}

/** Returns how the bank's records of a message contradict the verdict that its client received; undefined if they agree. */
function contradiction(accepted: Accepted): string | undefined {
  const { verdict, booked, refused, message } = accepted;
  const { ref } = message;
  if (booked + refused > 1) return `${ref} ran ${booked + refused} times`;
  if (verdict === 'completed' && booked !== 1) return `${ref} was told completed, but is not in the journal`;
  if (verdict === 'failed' && refused !== 1) return `${ref} was told failed, but no handler refused it`;
  if (verdict === 'withdrawn' && booked + refused > 0) return `${ref} was told withdrawn, but ran`;
  if (verdict === 'unknown') return `nobody knows what became of ${ref}`;
  if (endOf(accepted) === undefined) return `${ref} was sent by a completed transfer and never ran`;
  return undefined;
}

/** Returns the fault in a message's dead letters. A failed or interrupted message must have exactly one, any other none. */
function letterFault(accepted: Accepted): string | undefined {
  const end = endOf(accepted);
  const wanted = end === 'failed' || end === 'interrupted' ? end : '';
  const found = accepted.letters.map(({ reason }) => reason).join(', ');
  return found === wanted ? undefined : `${accepted.message.ref} is ${end}, and its dead letters are: ${found || 'none'}`;
}

/** Returns the cents that a dead letter holds: of a deposit that was not booked, or of a booked withdrawal without a reply. */
function heldCents(accepted: Accepted): number {
  const end = endOf(accepted);
  if (end !== 'failed' && end !== 'interrupted') return 0;
  const { message, booked } = accepted;
  const isHeld = message instanceof Deposit ? booked === 0 : booked > 0;
  return isHeld ? message.amountCents : 0;
}

function allAccepted(bank: Bank, clients: Clients, letters: readonly DeadLetter[]): Accepted[] {
  const booked = grouped(bank.journal);
  const refused = grouped(bank.refusals);
  const lettersOf = grouped(letters);
  const sent = clients.sentDeposits().map((message) => ({ verdict: 'sent' as const, message }));
  return [...clients.told.values(), ...sent].map(({ verdict, message }) => ({
    message,
    verdict,
    booked: booked.get(message.ref)?.length ?? 0,
    refused: refused.get(message.ref)?.length ?? 0,
    letters: lettersOf.get(message.ref) ?? [],
  }));
}

/**
 * Audits a run. `startCents` is all money at the start: balances and the clients' cash. `letters` are the dead letters of the
 * store; undefined for a run on one node, which does not read them. No message can be interrupted in such a run.
 */
export function audit(bank: Bank, clients: Clients, startCents: number, letters?: readonly DeadLetter[]): Audit {
  const all = allAccepted(bank, clients, letters ?? []);
  const violations = all.map(contradiction).filter((problem) => problem !== undefined);
  if (letters !== undefined) violations.push(...all.map(letterFault).filter((problem) => problem !== undefined));
  const known = new Set(all.map(({ message }) => message.ref));
  for (const { ref } of [...bank.journal, ...bank.refusals])
    if (!known.has(ref)) violations.push(`${ref} ran, but nobody sent it`);

  const held = all.reduce((sum, accepted) => sum + heldCents(accepted), 0);
  const endCents = bank.totalCents() + clients.cashCents + held;
  if (endCents !== startCents) violations.push(`the money is off by ${(endCents - startCents) / 100}`);
  if (bank.wrongBalances() > 0) violations.push(`${bank.wrongBalances()} balances differ from their journals`);
  if (bank.lostUpdates > 0) violations.push(`${bank.lostUpdates} lost updates`);
  if (bank.overdrafts > 0) violations.push(`${bank.overdrafts} overdrafts`);
  const count = (end: End): number => all.filter((accepted) => endOf(accepted) === end).length;
  const counts = {
    completed: count('completed'),
    failed: count('failed'),
    interrupted: count('interrupted'),
    withdrawn: count('withdrawn'),
  };
  const ended = counts.completed + counts.failed + counts.interrupted + counts.withdrawn;
  if (ended !== all.length) violations.push(`${all.length} messages were accepted, but ${ended} ended`);
  return {
    messages: all.length,
    ...counts,
    deadLetters: letters?.length ?? counts.failed + counts.interrupted,
    lostUpdates: bank.lostUpdates,
    overdrafts: bank.overdrafts,
    balanceHeld: bank.wrongBalances() === 0 && endCents === startCents,
    heldCents: held,
    violations,
  };
}
