/** The IPC messages between the demo's parent process and its nodes. The clients and the bank run in the parent. */
import { Snapshot } from './bank.js';
import { Verdict } from './clients.js';
import { Deposit, Withdraw } from './messages.js';

export interface NodeOptions {
  readonly redisUrl: string;
  readonly keyPrefix: string;
  readonly serverId: string;
  /** Address of this node for its peers, host:port. */
  readonly address: string;
}

/** A handler's call to the bank. */
export type BankCall =
  | { readonly do: 'read'; readonly accountId: string }
  | { readonly do: 'write'; readonly before: Snapshot; readonly deltaCents: number; readonly ref: string }
  | { readonly do: 'refuse'; readonly ref: string; readonly reason: string };

export type BankAnswer = Snapshot | number | undefined;

export type ToNode =
  | { readonly kind: 'ask'; readonly call: number; readonly message: PlainMessage; readonly impatient: boolean }
  | { readonly kind: 'bank-answer'; readonly call: number; readonly answer: BankAnswer }
  | { readonly kind: 'close' };

export type FromNode =
  | { readonly kind: 'ready' }
  | { readonly kind: 'verdict'; readonly call: number; readonly verdict: Verdict }
  /** `messageId` is the id of the message whose handler calls. */
  | { readonly kind: 'bank'; readonly call: number; readonly messageId: string; readonly what: BankCall };

/** A message as plain data, without its class. */
export interface PlainMessage {
  readonly name: 'Deposit' | 'Withdraw';
  readonly accountId: string;
  readonly amountCents: number;
  readonly ref: string;
  readonly toAccountId?: string | undefined;
}

export function toPlain(message: Deposit | Withdraw): PlainMessage {
  return { name: message instanceof Deposit ? 'Deposit' : 'Withdraw', ...message };
}

export const fromPlain = ({ name, accountId, amountCents, ref, toAccountId }: PlainMessage): Deposit | Withdraw =>
  name === 'Deposit' ? new Deposit(accountId, amountCents, ref) : new Withdraw(accountId, amountCents, ref, toAccountId);
