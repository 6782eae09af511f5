/** Errors that handlers throw, and how callers and dead letters show them. */
import { AtomicQueuesError } from '../../src/core/errors.js';
import { BASES, KIND, NOT_CALLED, type RecordedError, recordedOf, withoutStacks } from '../../src/core/recorded-error.js';
import { type Delivery, NotCalled } from '../../src/ports/handler.js';
import type { DeadLetterBox } from '../../src/runtime/dead-letters.js';
import type { Cluster } from '../cluster.js';
import { type Asked, mustAll, ValueCalls } from '../value-calls.js';
import { type DrawnError, drawError, RECORD_CHARS_MAX } from '../values/errors.js';
import type { Scenario } from './scenario.js';

const NODES = ['n1', 'n2'];

type Letter = Awaited<ReturnType<DeadLetterBox['list']>>['letters'][number];

function lettersOf(sim: Cluster): readonly Letter[] {
  let letters: readonly Letter[] = [];
  sim
    .node('n1')
    .deadLetters()
    .list({ limit: 1000 })
    .then((page) => {
      letters = page.letters;
    });
  sim.run(100);
  return letters;
}

/** Returns the value as JSON with sorted keys, so that the order of keys does not matter. */
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

const stacksOf = ({ stack, cause }: RecordedError): unknown[] => [stack, ...(cause === undefined ? [] : stacksOf(cause))];

/** Returns the errors of the cause chain, from the outermost one to the innermost one. */
const chainOf = (error: unknown): Error[] => (error instanceof Error ? [error, ...chainOf(error.cause)] : []);

function callerFault({ call, error }: Asked, { shows, kind, bases = [] }: DrawnError): string {
  if (error?.code !== 'HANDLER_FAILED' || error.definite) return `${call} got ${error?.message ?? 'a result'}`;
  const record = error.details.error as RecordedError;
  if (shows !== undefined && sorted(record) !== sorted(shows)) return `${call} shows ${sorted(record)}, and not ${sorted(shows)}`;
  if (error.message !== `[HANDLER_FAILED] ${record.name}: ${record.message}`) return `${call} says ${error.message}`;
  const recorded = recordedOf(error.cause);
  if (recorded?.[KIND] !== kind) return `${call} is marked as ${String(recorded?.[KIND])}, and not ${kind}`;
  if (String(recorded?.[BASES] ?? '') !== bases.join()) return `${call} is marked as a ${String(recorded?.[BASES])}`;
  const [cause, ...inner] = chainOf(error.cause);
  const isRevived =
    cause?.name === record.name &&
    cause.message === record.message &&
    (KIND in (cause ?? {}) || BASES in (cause ?? {})) === false;
  return isRevived && inner.length === stacksOf(record).length - 1 ? '' : `${call} has the cause ${String(error.cause)}`;
}

function letterFault(
  { call, error }: Asked,
  { isAnswer, shows, stack }: DrawnError,
  letters: ReadonlyMap<string, Letter>,
): string {
  const letter = letters.get(call);
  if ((letter === undefined) !== isAnswer) return `${call} left ${letter === undefined ? 'no' : 'a'} dead letter`;
  if (letter?.error == null) return isAnswer ? '' : `${call} left a dead letter without an error`;
  if (JSON.stringify(letter.error).length > RECORD_CHARS_MAX) return `${call} left a record that is too large`;
  if (sorted(withoutStacks(letter.error)) !== sorted(error?.details.error)) return `${call} left ${sorted(letter.error)}`;
  const stacks = stacksOf(letter.error);
  if (stack !== undefined) return stacks[0] === stack.shown ? '' : `${call} left the stack ${String(stacks[0])}`;
  // A value that is not an error has no stack. Only the thrown value or the last cause can be one.
  const hasStacks = stacks.every((one, i) => typeof one === 'string' || i === stacks.length - 1);
  return hasStacks && (shows?.name === 'NonError' || stacks[0] !== undefined) ? '' : `${call} left the stacks ${sorted(stacks)}`;
}

/** Checks the log lines: each error of the cause chain is shown by its stack, or its message, and some of its fields. */
function linesFault(lines: string, record: RecordedError | null): string {
  const parts = lines.split('\ncaused by ');
  let at = record ?? undefined;
  for (const part of parts) {
    if (at === undefined) return `a line too many: ${part}`;
    const { name, message, stack, cause, ...fields } = at;
    const head = stack ?? `${name}: ${message}`;
    const [field = ''] = Object.keys(fields).filter((key) => !key.startsWith('$'));
    const hasFields = part.length > head.length && part.slice(head.length).startsWith('\n    {');
    if (
      !part.startsWith(head) ||
      hasFields !== (field !== '') ||
      !part.includes(JSON.stringify(field).slice(1, -1)) ||
      part.includes(KIND)
    )
      return `${name} is reported as ${part}`;
    at = cause;
  }
  return at === undefined ? '' : `${at.name}, a cause, is not reported`;
}

export const ERROR_SCENARIOS: readonly Scenario[] = [
  {
    name: 'drawn-errors',
    shows:
      'whatever a handler throws, its caller and the dead letter show the same record of it, and an answer leaves no dead letter',
    run(sim, must) {
      sim.start(...NODES);
      sim.run(500);
      const stream = sim.world.stream('errors');
      const lines = new Map<string, string>();
      sim.traced = (_node, event, data) => {
        if (event === 'dead-letter') lines.set((data as { entity: string }).entity, (data as { error?: string }).error ?? '');
      };
      const calls = new ValueCalls(sim);
      const sent = Array.from({ length: 300 }, () => {
        const drawn = drawError(stream);
        const run = () => {
          throw drawn.thrown;
        };
        return { drawn, asked: calls.ask(stream.pick(NODES), {}, { run }) };
      });
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked, drawn }) => callerFault(asked, drawn));
      const letters = new Map(lettersOf(sim).map((letter) => [letter.entityId, letter]));
      mustAll(must, sent, ({ asked, drawn }) => letterFault(asked, drawn, letters));
      mustAll(must, [...letters.values()], (letter) => linesFault(lines.get(`plain:${letter.entityId}`) ?? '', letter.error));
      must('each dead letter is reported', lines.size === letters.size);
      must(
        'what was not thrown by a handler has no record',
        [undefined, null, 'x', {}, new Error('x')].every((one) => recordedOf(one) === undefined),
      );
    },
  },
  {
    name: 'payload-that-no-longer-fits',
    shows:
      'a payload that its handler refuses is refused definitely, unless an earlier attempt or the message that it replays may have run',
    settings: { backoffDelayMs: 20 },
    run(sim, must) {
      sim.start(...NODES);
      sim.run(500);
      const calls = new ValueCalls(sim);
      const sent = NODES.flatMap((node) =>
        ['plain', 'retried'].flatMap((type) =>
          [1, 2].map((refusedAt) => {
            let attempts = 0;
            const check = ({ mayHaveRun }: Delivery): void => {
              if (++attempts < refusedAt) return;
              const error = new AtomicQueuesError('SCHEMA_VIOLATION', '$.value no longer fits', { definite: !mayHaveRun });
              throw new NotCalled(error, true);
            };
            const run = (): never => {
              throw new Error('once');
            };
            return { type, refusedAt, asked: calls.ask(node, { type }, { check, run }) };
          }),
        ),
      );
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked: { call, error, seen }, type, refusedAt }) => {
        const isRefused = refusedAt === 1 || type === 'retried';
        const isWell =
          error?.code === (isRefused ? 'SCHEMA_VIOLATION' : 'HANDLER_FAILED') && error.definite === (refusedAt === 1);
        return isWell && seen.length === refusedAt - 1
          ? ''
          : `${call} of ${type} got ${error?.message}, definite: ${error?.definite}`;
      });
      const isMarked = ({ error }: Letter): boolean => error?.[NOT_CALLED] === true;
      const letters = lettersOf(sim);
      const unrun = sent.filter(({ refusedAt }) => refusedAt === 1).length;
      must('a dead letter says of which message no handler was called', letters.filter(isMarked).length === unrun);
      for (const { id } of letters)
        sim
          .node('n2')
          .deadLetters()
          .replay(id)
          .catch((error: unknown) => must(`letter ${id} is replayed: ${String(error)}`, false));
      sim.run(1000);
      const replays = lettersOf(sim).filter(({ replayOf }) => replayOf !== null);
      must('a replay is refused as one whose message may have run', replays.length === letters.length && !replays.some(isMarked));
    },
  },
];
