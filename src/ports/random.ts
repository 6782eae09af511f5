/** Randomness of one node. Not for secrets. */
export interface Random {
  /** At least 0, below 1. */
  next(): number;
  /** A token that no other node draws: 32 hexadecimal digits. */
  token(): string;
}
