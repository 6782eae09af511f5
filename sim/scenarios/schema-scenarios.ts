/** Schemas that members publish for their messages. The payloads that callers send are drawn together with their verdicts. */
import type { Shapes } from '../../src/core/catalog.js';
import type { Violation } from '../../src/core/json-schema.js';
import type { Cluster } from '../cluster.js';
import type { Version } from '../sim-node.js';
import type { Stream } from '../sim-random.js';
import { type Asked, mustAll, ValueCalls } from '../value-calls.js';
import { type BadValue, DEFINITIONS, type DrawnSchema, drawSchema, withFaults } from '../values/schemas.js';
import { eventsOf, type Scenario } from './scenario.js';

/** Returns a version that publishes drawn schemas of the property `value`, one for each message. */
function versionOf(drawn: readonly DrawnSchema[]): Version {
  const shapes: Shapes = new Map(
    drawn.map(({ schema }, i) => [
      `m${i}`,
      { payload: { type: 'object', properties: { c: { type: 'string' }, value: schema }, $defs: DEFINITIONS } },
    ]),
  );
  return { names: [...shapes.keys()], shapes };
}

/** Starts a calling node, and then services in order, each in a separate group. */
function startServices(sim: Cluster, ...services: readonly Version[]): void {
  sim.add({ name: 'caller', startMs: 0, group: 'default', types: ['fenced'] });
  sim.start('caller');
  services.forEach((version, i) => {
    sim.run(200);
    sim.add({ name: `service-${i}`, startMs: 0, group: `group-${i}`, types: ['plain'] }, version);
    sim.start(`service-${i}`);
  });
  sim.run(1000);
}

function goodFault({ call, error, seen }: Asked, value: unknown): string {
  const isWell = error === undefined && seen.length === 1 && JSON.stringify(seen[0]?.value) === JSON.stringify(value);
  return isWell ? '' : `${call}: ${JSON.stringify(value)} satisfies its schema, and got ${error?.message ?? 'elsewhere'}`;
}

function badFault({ call, error, seen }: Asked, { value, path, says }: BadValue): string {
  const issues = (error?.details.issues ?? []) as readonly Violation[];
  const [first] = issues;
  const isWell = error?.code === 'SCHEMA_VIOLATION' && error.definite && seen.length === 0 && issues.length === 1;
  const isThere = first?.path === `$.value${path}` && error?.details.path === first.path && first.message.startsWith(says);
  if (isWell && isThere && error.message.endsWith(`does not match its schema: ${first.path}: ${first.message}`)) return '';
  return `${call}: ${JSON.stringify(value)} breaks its schema at ${path} (${says}), and got ${error?.message ?? 'a result'}`;
}

interface Sent {
  readonly asked: Asked;
  readonly value: unknown;
  readonly fault: BadValue | undefined;
}

function sendDrawn(calls: ValueCalls, stream: Stream, { good, bad }: DrawnSchema, name: string): Sent[] {
  const goods = good.map((value) => ({ value, fault: undefined }));
  const bads = bad.map((fault) => ({ value: fault.value, fault }));
  return stream
    .shuffle([...goods, ...bads])
    .map(({ value, fault }) => ({ value, fault, asked: calls.ask('caller', { name, value }) }));
}

export const SCHEMA_SCENARIOS: readonly Scenario[] = [
  {
    name: 'drawn-schemas',
    shows:
      'a value that satisfies the schema of its service runs there, and one that breaks it in one place is refused with that place',
    run(sim, must) {
      const stream = sim.world.stream('schemas');
      const drawn = Array.from({ length: 75 }, () => drawSchema(stream));
      startServices(sim, versionOf(drawn));
      const calls = new ValueCalls(sim);
      const sent = drawn.flatMap((one, i) => sendDrawn(calls, stream, one, `m${i}`));
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked, value, fault }) => (fault === undefined ? goodFault(asked, value) : badFault(asked, fault)));
    },
  },
  {
    name: 'many-violations',
    shows: 'of a value with many faults, 20 are given and 10 are shown',
    run(sim, must) {
      const stream = sim.world.stream('violations');
      startServices(sim, versionOf([{ schema: { items: { type: 'integer' } }, good: [[]], bad: [] }]));
      const calls = new ValueCalls(sim);
      const sent = [1, 2, 9, 10, 11, 19, 20, 21, 22, 60].map((count) => {
        const value = withFaults(stream, count);
        const paths = value.flatMap((item, i) => (item === 'x' ? [`$.value[${i}]`] : []));
        return { paths, asked: calls.ask('caller', { name: 'm0', value }) };
      });
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked: { call, error }, paths }) => {
        const issues = (error?.details.issues ?? []) as readonly Violation[];
        const isGiven = issues.map(({ path }) => path).join() === paths.slice(0, 20).join();
        const shown = [...(error?.message.matchAll(/\$\.value\[\d+\]/g) ?? [])].map(([path]) => path);
        return isGiven && shown.join() === paths.slice(0, 10).join()
          ? ''
          : `${call}, with ${paths.length} faults, got ${error?.message}`;
      });
    },
  },
  {
    name: 'schemas-that-differ',
    shows:
      'of services that publish different schemas for a message the last one to join counts, each such pair is reported once, and it counts on while all are down',
    settings: { nodeTTLMs: 500 },
    run(sim, must) {
      const stream = sim.world.stream('versions');
      const conflicts: { readonly node: string; readonly message: string; readonly services: string; readonly wins: string }[] =
        [];
      sim.traced = (node, event, data) => {
        if (event === 'schema-conflict') conflicts.push({ node, ...(data as Omit<(typeof conflicts)[number], 'node'>) });
      };
      const older = Array.from({ length: 30 }, () => ({ isKept: stream.chance(0.5), low: stream.int(0, 9) }));
      const of = (low: number): DrawnSchema => ({ schema: { minimum: low }, good: [low], bad: [] });
      startServices(
        sim,
        versionOf(older.map(({ low }) => of(low))),
        versionOf(older.map(({ low, isKept }) => of(isKept ? low : low + 10))),
      );
      const calls = new ValueCalls(sim);
      const ask = () =>
        older.map(({ low, isKept }, i) => ({ counts: isKept, asked: calls.ask('caller', { name: `m${i}`, value: low }) }));
      const fault = ({ asked: { call, error }, counts }: ReturnType<typeof ask>[number]): string =>
        counts === (error === undefined) && (counts || error?.code === 'SCHEMA_VIOLATION')
          ? ''
          : `${call} got ${error?.message ?? 'a result'}`;
      const sent = ask();
      must('all calls are answered', calls.settle());
      mustAll(must, sent, fault);
      const expected = older.flatMap(({ isKept }, i) =>
        isKept ? [] : [`plain.m${i} "group-0" and "group-1" "group-1", which joined last`],
      );
      const reported = conflicts.filter(({ node, message }) => node === 'caller' && message.startsWith('plain.'));
      const lines = reported.map(({ message, services, wins }) => `${message} ${services} ${wins}`);
      must('the caller reports each message whose schemas differ once', lines.sort().join() === expected.sort().join());
      for (const name of ['service-0', 'service-1']) sim.stop(name);
      sim.run(2000);
      const refused = older.flatMap(({ isKept, low }, i) => (isKept ? [] : [calls.ask('caller', { name: `m${i}`, value: low })]));
      sim.run(100);
      must(
        'what they would refuse is refused while they are down',
        refused.every(({ error }) => error?.code === 'SCHEMA_VIOLATION'),
      );
    },
  },
  {
    name: 'asked-before-it-is-known',
    shows:
      'a message whose service has just joined is looked up: it runs there, or is refused by its schema; what no service handles is refused with the nearest name',
    run(sim, must) {
      const stream = sim.world.stream('lookups');
      sim.add({ name: 'caller', startMs: 0, group: 'default', types: ['fenced'] });
      sim.start('caller');
      sim.run(500);
      const drawn = Array.from({ length: 20 }, () => drawSchema(stream));
      sim.add({ name: 'service', startMs: 0, group: 'other', types: ['plain'] }, versionOf(drawn));
      sim.start('service');
      const hasJoined = (): boolean => eventsOf(sim, 'node').some(({ node, state }) => node === 'service' && state === 'joined');
      must('the service joins', sim.until(hasJoined, 1000, 0.25));
      const calls = new ValueCalls(sim);
      must('the caller has not heard of it', sim.node('caller').node?.directory.find('plain', 'm0') === undefined);
      const sent = drawn.flatMap((one, i) => sendDrawn(calls, stream, one, `m${i}`));
      const strange = [
        { type: 'plain', name: 'n19', code: 'UNKNOWN_MESSAGE', nearest: 'm19' },
        { type: 'plain', name: 'cancel', code: 'UNKNOWN_MESSAGE', nearest: undefined },
        { type: 'plane', name: 'm0', code: 'UNKNOWN_ENTITY_TYPE', nearest: 'plain' },
        { type: 'customer', name: 'm0', code: 'UNKNOWN_ENTITY_TYPE', nearest: undefined },
      ].map((one) => ({ ...one, asked: calls.ask('caller', one) }));
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked, value, fault }) => (fault === undefined ? goodFault(asked, value) : badFault(asked, fault)));
      mustAll(must, strange, ({ asked: { call, error }, code, nearest }) => {
        const isWell = error?.code === code && error.definite && error.details.nearest === nearest;
        return isWell && error.message.includes('did you mean') === (nearest !== undefined)
          ? ''
          : `${call} got ${error?.message ?? 'a result'}`;
      });
    },
  },
];
