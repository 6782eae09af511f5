/**
 * An operator who reads the log while the cluster works: counts, the survey, and the dead letters by every filter, in small
 * pages, as `bus.deadLetters` and the command line do. A checker compares the result with the history.
 */
import type { ControlAnswerOf, ControlOp } from '../src/core/log/control-operations.js';
import type { Store } from '../src/ports/store.js';
import { DeadLetterBox, type DeadLetterFilter } from '../src/runtime/dead-letters.js';
import type { History, Shown, ShownLetter, ShownList } from './history.js';
import { TYPES } from './job.js';
import type { StoreServer } from './store-server.js';
import type { World } from './world.js';

/** Page size. Small, so that most lists take several pages. */
const PAGE = 7;
/** Maximum number of entities with a running message that are shown one by one. */
const ENTITIES_MAX = 3;

export class Operator {
  private readonly box: DeadLetterBox;

  constructor(
    private readonly server: StoreServer,
    private readonly history: History,
    world: World,
  ) {
    // Resolves at once, so a look is one moment of the run and never waits for a timer.
    const control = async <O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> =>
      server.applyControl('operator', op) as ControlAnswerOf[O['op']];
    const clock = { monotonicMs: () => world.nowMs, wallMs: () => server.nowMs(), setTimer: noTimer, defer: noTimer };
    this.box = new DeadLetterBox({ control } as Store, clock);
  }

  look(): void {
    if (this.server.lockstep?.isApart === true) return;
    this.shown().then(
      (shown) => this.history.add({ kind: 'shown', node: '', incarnation: 0, ...shown }),
      (error: unknown) =>
        this.history.add({ kind: 'defect', node: '', incarnation: 0, what: `a look at the log: ${String(error)}` }),
    );
  }

  private async shown(): Promise<Omit<Shown, 'kind' | 'node' | 'incarnation' | 'index' | 'atMs'>> {
    const { depth, active, letters: count, lastLetter } = this.ask({ op: 'counts' });
    const { types, running } = this.ask({ op: 'survey', cursor: '0' });
    const letters = await this.all({});
    const lists: ShownList[] = [];
    for (const filter of filtersOf(letters)) lists.push({ filter, ids: (await this.all(filter)).map(({ id }) => id) });
    const { done, refused } = await this.box.replayAll({}, { dryRun: true });
    const found = await this.box.show(String(lastLetter + 1));
    const [first] = letters;
    return {
      counts: { depth, active, letters: count, lastLetter, replayable: done, needForce: refused['needs-force'] ?? 0 },
      types: Object.fromEntries(types.map(({ type, running, pending }) => [type, { running, pending }])),
      entities: running.slice(0, ENTITIES_MAX).map(({ entity, pending }) => this.entity(entity, pending)),
      letters,
      lists,
      first: first === undefined ? undefined : (await this.box.show(first.id))?.id,
      ...(found !== undefined && { surplus: found.id }),
    };
  }

  private entity(entity: string, pending: number): Shown['entities'][number] {
    const answer = this.ask({ op: 'entity', entity, max: 1 });
    if (!answer.ok) return { entity, running: 0, pending: [pending] };
    return { entity, running: answer.running?.seq ?? 0, pending: [pending, answer.pendingCount] };
  }

  private ask<O extends ControlOp>(op: O): ControlAnswerOf[O['op']] {
    return this.server.applyControl('operator', op) as ControlAnswerOf[O['op']];
  }

  private async all(filter: DeadLetterFilter): Promise<ShownLetter[]> {
    const letters: ShownLetter[] = [];
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page: Awaited<ReturnType<DeadLetterBox['list']>> = await this.box.list({ ...filter, after, limit: PAGE });
      for (const { id, entityType, entityId, sequence, attempts, reason, diedAtMs, replayedAs } of page.letters)
        letters.push({
          ...{ id, entity: `${entityType}:${entityId}`, sequence, attempts, reason, diedAtMs },
          isReplayed: replayedAs !== null,
        });
      after = page.next;
    }
    return letters;
  }
}

/** Returns every kind of filter. The values in them are taken from the given dead letters. */
function filtersOf(letters: readonly ShownLetter[]): readonly DeadLetterFilter[] {
  const middle = letters[Math.floor(letters.length / 2)];
  if (middle === undefined) return [{ replayed: false }];
  const [entityType = '', entityId = ''] = middle.entity.split(':');
  return [
    ...TYPES.map((type) => ({ entityType: type })),
    { entityType, entityId },
    ...(['failed', 'interrupted'] as const).map((reason) => ({ reason })),
    ...[true, false].map((replayed) => ({ replayed })),
    { sinceMs: middle.diedAtMs },
    { entityType, reason: middle.reason, replayed: middle.isReplayed },
  ];
}

function noTimer(): never {
  throw new Error('a look at the log waits for nothing');
}
