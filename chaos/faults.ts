/** Applies faults to a cluster: records each one in the history, and heals those that have begun and are not over. */
import type { FaultEvent } from '../sim/history.js';
import { hostMs } from './clock.js';
import type { Heal } from './links.js';
import type { TellNow } from './store-log.js';

/** Fault event that confirms the begin of a pause that takes a while to begin, as that of a container does. */
export const ASLEEP = 'asleep';

export class Faults {
  private readonly heals = new Set<Heal>();
  private open = 0;
  private lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly tellNow: TellNow) {}

  /** Records a fault that has no duration. */
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

  /**
   * Pauses a node. Records the end of the pause before the node wakes; otherwise the events of the waking node would look as if
   * it slept.
   */
  async asleep(node: string, leaseLeftMs: number, begin: () => Promise<Heal>): Promise<Heal> {
    this.tell('pause', 'begin', node, { leaseLeftMs });
    const wake = await begin();
    return this.healing(async () => {
      this.tell('pause', 'end', node);
      await wake();
    });
  }

  /** Records an effect of a fault that only an observer of the cluster can see. */
  seen(what: string): void {
    this.tell(what, 'once', '', { note: 'seen' });
  }

  /** Returns whether a fault is active, or has ended since this host time. */
  anySince(sinceMs: number): boolean {
    return this.open > 0 || this.lastEndMs >= sinceMs;
  }

  async healAll(): Promise<void> {
    for (const heal of [...this.heals]) await heal();
    this.tellNow({ kind: 'healed', node: '', incarnation: 0 });
  }

  /** Registers the heal of a fault. The returned function heals once, however often it is called. */
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
