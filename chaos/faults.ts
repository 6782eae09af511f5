/** What is done to a cluster: each fault is told to the history, and what was begun and is not over yet can be healed. */
import type { FaultEvent } from '../sim/history.js';
import { hostMs } from './clock.js';
import type { Heal } from './links.js';
import type { TellNow } from './store-log.js';

/** A pause that takes a while to begin, as that of a container does, has begun for certain. */
export const ASLEEP = 'asleep';

export class Faults {
  private readonly heals = new Set<Heal>();
  private open = 0;
  private lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly tellNow: TellNow) {}

  /** One that is over at once. */
  once(fault: string, node: string): void {
    this.tell(fault, 'once', node);
  }

  async during(fault: string, node: string, begin: () => Promise<Heal>): Promise<Heal> {
    this.tell(fault, 'begin', node);
    const end = await begin();
    return this.healing(async () => {
      await end();
      this.tell(fault, 'end', node);
    });
  }

  /** A node sleeps. Its end is told first: what the node does when it wakes must not look as if it slept. */
  async asleep(node: string, leaseLeftMs: number, begin: () => Promise<Heal>): Promise<Heal> {
    this.tell('pause', 'begin', node, { leaseLeftMs });
    const wake = await begin();
    return this.healing(async () => {
      this.tell('pause', 'end', node);
      await wake();
    });
  }

  /** What a fault has led to, and only who looks can tell. */
  seen(what: string): void {
    this.tell(what, 'once', '', { note: 'seen' });
  }

  /** Whether one is open, or has ended since then, by the clock of the host. */
  anySince(sinceMs: number): boolean {
    return this.open > 0 || this.lastEndMs >= sinceMs;
  }

  async healAll(): Promise<void> {
    for (const heal of [...this.heals]) await heal();
    this.tellNow({ kind: 'healed', node: '', incarnation: 0 });
  }

  /** Whoever heals first: it is done once. */
  private healing(end: Heal): Heal {
    const heal = async (): Promise<void> => {
      if (this.heals.delete(heal)) await end();
    };
    this.heals.add(heal);
    return heal;
  }

  private tell(
    fault: string,
    phase: FaultEvent['phase'],
    node: string,
    more: Pick<FaultEvent, 'leaseLeftMs' | 'note'> = {},
  ): void {
    if (phase === 'begin') this.open++;
    else if (phase === 'end') {
      this.open--;
      this.lastEndMs = hostMs();
    }
    this.tellNow({ kind: 'fault', node, incarnation: 0, fault, phase, ...more });
  }
}
