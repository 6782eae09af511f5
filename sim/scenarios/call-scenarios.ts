/** Data that goes with a message: ids that are given twice, headers, objects that are carried along, and hints in frames. */
import type { FrameFacts } from '../framed-network.js';
import type { Stream } from '../sim-random.js';
import { type Asked, mustAll, ValueCalls } from '../value-calls.js';
import { entityOf, placedOnTwo, type Scenario } from './scenario.js';

/** Names that differ from the first one in one character. */
const NAMES = ['move', 'xove', 'movx', 'mxve'] as const;

/** Returns a value and either the same value with another order of keys, or one that differs in one place or in its name. */
function variantOf(
  stream: Stream,
  isSame: boolean,
): { readonly first: unknown; readonly second: unknown; readonly names: readonly [string, string] } {
  const text = Array.from({ length: stream.int(1, 40) }, () => stream.pick(['a', 'b', '0', 'é'])).join('');
  const first = { a: text, b: [stream.int(0, 9)] };
  const name = stream.pick(NAMES);
  if (isSame) return { first, second: { b: first.b, a: text }, names: [name, name] };
  if (stream.chance(0.4)) return { first, second: first, names: [NAMES[0], stream.pick(NAMES.slice(1))] };
  const at = stream.int(0, text.length - 1);
  const changed = `${text.slice(0, at)}c${text.slice(at + 1)}`;
  return { first, second: stream.chance(0.7) ? { ...first, a: changed } : { ...first, b: [10] }, names: [name, name] };
}

function twiceFault(first: Asked, second: Asked, isSame: boolean): string {
  const starts = first.seen.length + second.seen.length;
  if (first.error !== undefined || starts !== 1)
    return `${first.call} and ${second.call} ran ${starts} times: ${first.error?.message}`;
  const { error, value } = second;
  if (isSame)
    return error === undefined && value === first.value
      ? ''
      : `${second.call} repeats an id, and got ${error?.message ?? String(value)}`;
  const isRefused = error?.code === 'SCHEMA_VIOLATION' && error.definite && error.details.path === 'id';
  return isRefused ? '' : `${second.call} has the id of another payload, and got ${error?.message ?? 'a result'}`;
}

export const CALL_SCENARIOS: readonly Scenario[] = [
  {
    name: 'ids-given-twice',
    shows:
      'an id with the same payload counts once, whatever the order of its keys, and one with another name or payload is refused (E3)',
    run(sim, must) {
      for (const name of ['n1', 'n2']) sim.add({ name, startMs: 0, group: 'default' }, { names: NAMES });
      sim.start('n1', 'n2');
      sim.run(500);
      const stream = sim.world.stream('twice');
      const calls = new ValueCalls(sim);
      const drawn = Array.from({ length: 60 }, (_, i) => {
        const isSame = stream.chance(0.4);
        const { first, second, names } = variantOf(stream, isSame);
        const entityId = stream.pick(['a', 'b', 'c']);
        const node = stream.pick(['n1', 'n2']);
        return {
          isSame,
          node,
          entityId,
          id: `id-${i}`,
          value: second,
          name: names[1],
          first: calls.ask(node, { entityId, id: `id-${i}`, value: first, name: names[0] }, { run: () => i }),
        };
      });
      must('the first calls are answered', calls.settle());
      const again = drawn.map(({ node, entityId, id, value, name, first, isSame }) => {
        const message = { entityId, id, value, name, call: first.call };
        return { first, isSame, second: calls.ask(node === 'n1' ? 'n2' : 'n1', message) };
      });
      must('the second calls are answered', calls.settle());
      mustAll(must, again, ({ first, second, isSame }) => twiceFault(first, second, isSame));
    },
  },
  {
    name: 'headers-and-what-is-carried',
    shows: 'headers arrive wherever the handler runs, and an object that is carried along only in the process of its caller',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      const stream = sim.world.stream('headers');
      const calls = new ValueCalls(sim);
      const sent = Array.from({ length: 60 }, (_, i) => {
        const node = stream.pick([owner, other]);
        const headers = stream.chance(0.5) ? { n: `${i}`, odd: stream.pick(['', 'é"\n', '\u0000']) } : {};
        const carried = stream.chance(0.6) ? { of: i } : undefined;
        const isPlain = Object.keys(headers).length === 0;
        const asked = calls.ask(node, {
          entityId: 'a',
          headers: isPlain ? '' : JSON.stringify(headers),
          ...(carried && { carried }),
        });
        return { asked, headers, carried: node === owner ? carried : undefined };
      });
      must('all calls are answered', calls.settle());
      mustAll(must, sent, ({ asked: { call, seen, error }, headers, carried }) => {
        const [at] = seen;
        const isWell = error === undefined && seen.length === 1 && JSON.stringify(at?.headers) === JSON.stringify(headers);
        return isWell && at?.delivery.carried === carried
          ? ''
          : `${call} got ${JSON.stringify(at?.headers)} and ${JSON.stringify(at?.delivery.carried)}`;
      });
      const carried = [{}, {}];
      const [first, second] = carried.map((object, i) => {
        const call = i === 0 ? {} : { call: `v${calls.all.length - 1}` };
        return calls.ask(owner, { entityId: 'a', id: 'twice', value: 1, carried: object, ...call });
      });
      must('both callers are answered', calls.settle() && first?.error === undefined && second?.error === undefined);
      must('of two callers the first one counts', first?.seen[0]?.delivery.carried === carried[0]);
    },
  },
  {
    name: 'hints-in-frames',
    shows:
      'hints leave in frames within their limits, in order and in turn; what has no room is dropped and counted, and no call needs it',
    settings: { reconcileIntervalMs: 200 },
    run(sim, must) {
      const stream = sim.world.stream('frames');
      const names = ['n1', 'n2', 'n3'];
      const facts = names.map((name, i): FrameFacts => {
        const limits = {
          frameItemsMax: 3 + i,
          frameBytesMax: 900,
          targetItemsMax: 8,
          targetBytesMax: 2000,
          totalBytesMax: 3000 - 400 * i,
        };
        const frames: FrameFacts = { limits, faults: [], frames: 0, full: 0, dropped: 0 };
        sim.add({ name, startMs: 0, group: 'default' }, { frames });
        return frames;
      });
      sim.start(...names);
      sim.run(1500);
      const calls = new ValueCalls(sim);
      for (let turn = 0; turn < 12; turn++) {
        for (let i = 0; i < 12; i++) {
          const [, entityId] = entityOf(stream.pick(names), names).split(':');
          calls.ask(stream.pick(names), {
            entityId: `${entityId}${stream.pick(['', '', 'x'])}`,
            value: 'x'.repeat(stream.pick([1, 20, 150, 700, 2500])),
          });
        }
        sim.run(stream.pick([1, 5, 60]));
        if (turn === 8) sim.cutStore('n2');
        if (turn === 10) sim.healStore('n2');
      }
      must('all calls are answered', calls.settle(8000));
      for (const { faults } of facts) for (const fault of faults.slice(0, 3)) must(fault, false);
      const sum = (of: (one: FrameFacts) => number): number => facts.reduce((total, one) => total + of(one), 0);
      must('frames were full', sum(({ full }) => full) > 5);
      must('some hints had no room', sum(({ dropped }) => dropped) > 5);
      must('most calls ended well', calls.all.filter(({ error }) => error === undefined).length > 100);
    },
  },
];
