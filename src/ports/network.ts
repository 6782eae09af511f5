import type { MessageRecord } from '../core/log/operations.js';

/** What nodes tell each other. Every message is a hint: losing it costs time, doubling it changes nothing. */
export type PeerMessage =
  /** There is work for an entity that you own; `message` spares you reading it back. */
  | { readonly kind: 'ring'; readonly entity: string; readonly message: MessageRecord | undefined }
  /** A message that you wait for has ended. */
  | {
      readonly kind: 'reply';
      readonly entity: string;
      readonly id: string;
      readonly state: 'completed' | 'failed' | 'interrupted';
      /** Result, or error, as JSON text. */
      readonly detail: string;
    };

/** Messages between incarnations. May lose, delay, double and reorder any of them; never alters one. */
export interface Network {
  /** Never throws; a message to an incarnation that is gone vanishes. */
  send(to: number, message: PeerMessage): void;
  /** Receives what is addressed to `incarnation` from now on, and no longer what was addressed to the one before. */
  listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void;
  close(): Promise<void>;
}
