import { randomBytes } from 'node:crypto';
import type { Random } from '../ports/random.js';

export class SystemRandom implements Random {
  next(): number {
    return Math.random();
  }

  token(): string {
    return randomBytes(16).toString('hex');
  }
}
