import type { BeginOp, Begun } from '../core/log/operations.js';
import type { Clock } from '../ports/clock.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import { DutyFaults } from './duty-faults.js';
import type { Step } from './session.js';
import type { EntityWorker } from './worker.js';

const FETCH_AGAIN_MS = 200;

interface Owner {
  /** Incarnation of the session; 0 if there is none. */
  readonly incarnation: number;
  submit(step: Step<BeginOp>): void;
  contradicted(worker: EntityWorker, answer: string): void;
}

interface Parts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly store: Store;
}

/** Reads messages that the log has begun in answers that had no room for them. One at a time, since they are large. */
export class FetchBegun {
  private fetching: Promise<void> = Promise.resolve();
  private readonly faults: DutyFaults;

  constructor(
    private readonly parts: Parts,
    private readonly owner: Owner,
  ) {
    this.faults = new DutyFaults(parts.trace, 'fetch');
  }

  /** Reads the message. Retries until the log answers, or until the worker no longer waits for it. */
  fetch(worker: EntityWorker, begun: Begun): void {
    const { clock, store } = this.parts;
    this.fetching = this.fetching.then(async () => {
      while (worker.phase === 'starting') {
        const asked = store.control({ op: 'entity', entity: worker.entity, max: 0 });
        const answer = await asked.catch((error: unknown) => this.faults.report(error));
        if (worker.phase !== 'starting') return;
        if (answer !== undefined) {
          if (!answer.ok || answer.owner !== this.owner.incarnation || answer.fence !== worker.fence) this.proveOwner(worker);
          else if (answer.running?.seq === begun.seq) worker.begun({ ...begun, message: answer.running });
          else this.owner.contradicted(worker, `message ${begun.seq}, which was not there,`);
          return;
        }
        await new Promise<void>((resolve) => clock.setTimer(FETCH_AGAIN_MS, resolve));
      }
    });
  }

  /**
   * The log says that the entity is not owned under this fence. Either this incarnation was evicted, which the session learns
   * from this step, or the log applies the step and contradicts itself.
   */
  private proveOwner(worker: EntityWorker): void {
    const op: BeginOp = { op: 'begin', entity: worker.entity, fence: worker.fence, have: 0 };
    const ignore = (): void => undefined;
    this.owner.submit({
      ...{ op, refused: ignore, unknown: ignore },
      answered: (answer) => {
        if (!answer.ok && answer.code === 'FENCED') this.owner.contradicted(worker, answer.code);
      },
    });
  }
}
