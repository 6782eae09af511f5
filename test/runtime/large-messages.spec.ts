import { describe, expect, it } from 'vitest';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import { type Batch, type BatchReply, refuse } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { type Handle, msg, sleep, until, type World, world } from './harness.js';
import { start } from './started.js';

/** A store whose answers have no room for the messages that they begin, and that is not there when it is first asked for one. */
class TerseStore extends MemoryStore {
  asked = 0;
  /** The owner that it tells of an entity that it is asked for; undefined: the true one. */
  owner: number | undefined;
  /** It has lost the entities that it is asked for. */
  absent = false;
  broken = false;

  override async apply(batch: Batch): Promise<BatchReply> {
    const lost = this.absent && this.asked > 0 && batch.ops.some(({ op }) => op === 'begin');
    if (lost) return { status: 'applied', answers: batch.ops.map(() => refuse('FENCED')) };
    const reply = await super.apply(batch);
    if (reply.status !== 'applied') return reply;
    const terse = <A extends object>(answer: A): A => ('message' in answer ? { ...answer, message: undefined } : answer);
    const answers = reply.answers.map((answer) =>
      'next' in answer && answer.next !== undefined ? { ...answer, next: terse(answer.next) } : terse(answer),
    );
    return { ...reply, answers };
  }

  override async control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (op.op === 'entity' && this.broken) {
      this.asked++;
      throw new StoreCallError('ERR user_script:1: nil', false, false, undefined, 'broken');
    }
    if (op.op === 'entity' && ++this.asked === 1) throw new StoreCallError('lost', false);
    if (op.op === 'entity' && this.absent) return refuse('ABSENT') as ControlAnswerOf[O['op']];
    const answer = await super.control(op);
    return op.op === 'entity' && this.owner !== undefined ? { ...answer, owner: this.owner, running: undefined } : answer;
  }
}

/** Runs some of twelve messages of three entities, and leaves the others in the log. */
async function leftOver(w: World, ran: Map<string, number[]>): Promise<Handle> {
  let isStopping = false;
  const handle: Handle = async (p, _name, id) => {
    if (!isStopping) await sleep(60);
    ran.set(id, [...(ran.get(id) ?? []), (p as { i: number }).i]);
  };
  const first = await start(w, handle);
  for (let i = 0; i < 12; i++) await first.enqueue(msg(`e${i % 3}`, { i }));
  isStopping = true;
  await first.stop();
  return handle;
}

describe('a message that the answer has no room for', () => {
  it('is asked for, until the log tells it, and runs in its turn', async () => {
    const store = new TerseStore(new SystemClock());
    const w = world(store);
    const ran = new Map<string, number[]>();
    const handle = await leftOver(w, ran);
    const before = [...ran.values()].flat().length;
    expect(before).toBeLessThan(12);
    await start(w, handle);
    await until('the next node has run the rest', () => [...ran.values()].flat().length === 12);
    for (const [id, numbers] of ran) expect(numbers).toEqual([0, 3, 6, 9].map((i) => i + Number(id.slice(1))));
    expect(store.asked).toBeGreaterThan(12 - before);
  });

  it('is a loss of the store where that knows nothing of the entity, and still counts this node as a member', async () => {
    const store = new TerseStore(new SystemClock());
    const w = world(store);
    const handle = await leftOver(w, new Map());
    store.absent = true;
    const next = await start(w, handle);
    await until('it has closed', () => next.status().state === 'closed');
  });

  it('is asked for again where the answer fails for good, which is reported once', async () => {
    const store = new TerseStore(new SystemClock());
    const w = world(store);
    const handle = await leftOver(w, new Map());
    store.broken = true;
    await start(w, handle);
    await until('it has asked again', () => store.asked > 2);
    const failures = w.events.filter(({ event }) => event === 'loop-failed').map(({ data }) => data);
    expect(failures).toMatchObject([{ loop: 'fetch' }]);
  });

  it('is not run, and not taken for a loss of the store, where the entity has another owner by then', async () => {
    const store = new TerseStore(new SystemClock());
    const w = world(store);
    const ran = new Map<string, number[]>();
    const handle = await leftOver(w, ran);
    const before = [...ran.values()].flat().length;
    store.asked = 1;
    store.owner = 99;
    const next = await start(w, handle);
    await until('it has asked for them', () => store.asked > 3);
    await sleep(50);
    expect(next.status()).toMatchObject({ state: 'running' });
    expect([...ran.values()].flat()).toHaveLength(before);
  });
});
