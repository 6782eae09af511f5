/** Drawn payloads, results and ids that clients send and handlers return, each with the verdict that its draw implies. */
import type { AtomicQueuesError } from '../../src/core/errors.js';
import type { Cluster } from '../cluster.js';
import type { Stream } from '../sim-random.js';
import { type Asked, mustAll, PAYLOAD, ValueCalls } from '../value-calls.js';
import { type DrawnId, drawId, drawMessageId } from '../values/ids.js';
import { type DrawnPayload, drawBrackets, drawOfSize, drawPayload } from '../values/payloads.js';
import type { Scenario } from './scenario.js';

const NODES = ['n1', 'n2'];

function started(sim: Cluster): void {
  sim.start(...NODES);
  sim.run(500);
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Returns what is wrong with the value that came back; '' if nothing is. */
function carriedFault({ call, error, seen, value }: Asked, { arrives }: DrawnPayload): string {
  if (error !== undefined) return `${call} failed with ${error.message}`;
  if (seen.length !== 1) return `${call} ran ${seen.length} times`;
  if (!isSame(value, arrives?.value))
    return `${call} is ${JSON.stringify(arrives?.value)} and came back as ${JSON.stringify(value)}`;
  return '';
}

function refusedFault(asked: Asked, what: string, { refused }: DrawnPayload, mayHaveRun: boolean): string {
  const { call, error, seen } = asked;
  if (error === undefined) return `${call}, which is ${refused?.why}, was accepted`;
  const { path, why } = (mayHaveRun ? (error.details.error as AtomicQueuesError).details : error.details) ?? {};
  const begin = mayHaveRun ? '' : '.value';
  const isThere = refused?.path === undefined || path === `$${begin}${refused.path}`;
  const says = `[SCHEMA_VIOLATION] ${what}: ${String(path)} is ${refused?.why}, which JSON cannot carry`;
  const isWell = error.code === 'SCHEMA_VIOLATION' && error.definite === !mayHaveRun && why === refused?.why && isThere;
  if (!isWell || error.message !== says)
    return `${call} is refused with ${error.message}, not because of ${refused?.why} at ${refused?.path}`;
  return seen.length === Number(mayHaveRun) ? '' : `${call} ran ${seen.length} times`;
}

const BYTES_MAX = 4096;

/** Asks with a drawn payload, or for a drawn result, whose size is at the limit, below it or above it. */
function askSized(
  calls: ValueCalls,
  stream: Stream,
  i: number,
): { readonly asked: Asked; readonly over: number; readonly isResult: boolean } {
  const over = stream.pick([0, 0, 1, -1, 700]);
  const bytes = BYTES_MAX + over;
  const node = stream.pick(NODES);
  if (i % 3 === 0) {
    const value = drawOfSize(stream, bytes, (inner) => ({ c: `v${calls.all.length}`, value: inner }));
    return { asked: calls.ask(node, { value }, { run: () => 0 }), over, isResult: false };
  }
  // n empty brackets take 3 * n + 1 bytes as JSON, and 4096 is 3 * 1365 + 1.
  const brackets = (): unknown => drawBrackets(stream, 1365 + Math.sign(over));
  const value = i % 3 === 1 ? drawOfSize(stream, bytes, (inner) => inner) : brackets();
  return { asked: calls.ask(node, {}, { run: () => value }), over, isResult: true };
}

function sizeFault({ asked, over, isResult }: ReturnType<typeof askSized>): string {
  const { call, error } = asked;
  if (over <= 0) return error === undefined ? '' : `${call}, ${over} bytes over the limit, failed with ${error.message}`;
  const code = isResult ? 'SCHEMA_VIOLATION' : 'PAYLOAD_TOO_LARGE';
  const what = isResult ? `the result of ${call}` : PAYLOAD;
  const says = `[${code}] ${what} is larger than ${BYTES_MAX} bytes as JSON`;
  const isWell = error?.message === says && error.definite === !isResult && asked.seen.length === Number(isResult);
  return isWell ? '' : `${call}, ${over} bytes over the limit, got ${error?.message ?? 'a result'}`;
}

function idFault(asked: Asked, of: 'entityId' | 'id', { text, why }: DrawnId): string {
  const { call, error, seen } = asked;
  if (text === undefined)
    return error?.code === 'INVALID_ENTITY_ID' && error.definite && error.message.includes(` ${why};`) && seen.length === 0
      ? ''
      : `${call}, whose id ${why}, got ${error?.message ?? 'a result'}`;
  const [at] = seen;
  const arrived = of === 'entityId' ? at?.delivery.entityId : at?.messageId;
  if (error !== undefined || arrived !== text)
    return `${call}: ${JSON.stringify(text)} arrived as ${JSON.stringify(arrived)}, ${error?.message}`;
  return '';
}

export const VALUE_SCENARIOS: readonly Scenario[] = [
  {
    name: 'drawn-payloads',
    shows:
      'what JSON carries arrives as it was sent and returned, and what it would spoil is refused with its place (300 drawn values)',
    run(sim, must) {
      started(sim);
      const stream = sim.world.stream('payloads');
      const calls = new ValueCalls(sim);
      const sent = Array.from({ length: 300 }, () => {
        const drawn = drawPayload(stream);
        const isResult = stream.chance(0.5);
        const message = isResult ? {} : { value: drawn.value };
        const run = isResult ? () => drawn.value : (value: unknown) => value;
        return { drawn, isResult, asked: calls.ask(stream.pick(NODES), message, { run }) };
      });
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked, drawn, isResult }) =>
        drawn.refused === undefined
          ? carriedFault(asked, drawn)
          : refusedFault(asked, isResult ? `the result of ${asked.call}` : PAYLOAD, drawn, isResult),
      );
    },
  },
  {
    name: 'drawn-sizes',
    shows:
      'a payload or result of exactly the limit in UTF-8 bytes is taken, and one byte more is refused, whatever it is made of',
    run(sim, must) {
      started(sim);
      const stream = sim.world.stream('sizes');
      const calls = new ValueCalls(sim, BYTES_MAX);
      const sent = Array.from({ length: 84 }, (_, i) => askSized(calls, stream, i));
      must('all calls are answered', calls.settle());
      mustAll(must, sent, sizeFault);
    },
  },
  {
    name: 'drawn-ids',
    shows: 'ids of entities and messages are taken up to 1024 UTF-8 bytes, arrive as they were given, and are refused otherwise',
    run(sim, must) {
      started(sim);
      const stream = sim.world.stream('ids');
      const calls = new ValueCalls(sim);
      const sent = Array.from({ length: 200 }, (_, i) => {
        const of: 'entityId' | 'id' = i % 2 === 0 ? 'entityId' : 'id';
        const drawn = of === 'entityId' ? drawId(stream) : drawMessageId(stream);
        return { of, drawn, asked: calls.ask(stream.pick(NODES), { [of]: drawn.id }) };
      });
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked, of, drawn }) => idFault(asked, of, drawn));
    },
  },
];
