import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves with whether `what` resolves within `ms`; rejects if `what` rejects. The wait does not keep the process alive. */
export const endsWithin = (what: Promise<unknown>, ms: number): Promise<boolean> =>
  Promise.race([what.then(() => true), sleep(ms, false, { ref: false })]);
