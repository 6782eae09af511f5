import { setTimeout as sleep } from 'node:timers/promises';

/** Whether it settles in time. The wait keeps no process alive. */
export const endsWithin = (what: Promise<unknown>, ms: number): Promise<boolean> =>
  Promise.race([what.then(() => true), sleep(ms, false, { ref: false })]);
