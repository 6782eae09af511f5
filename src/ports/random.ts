/** The random source of one node. Not for secrets. */
export interface Random {
  /** Returns a number of at least 0 and below 1. */
  next(): number;
  /** Returns a token that no other node draws: 32 hexadecimal digits. */
  token(): string;
}
