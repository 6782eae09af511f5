/** Makes the operations of a session from what fast-check draws: mostly valid ones, by the state of the core. */
import type { NewMessage, SessionOp } from '../../src/core/log/operations.js';
import type { EntityRecord, PartitionState } from '../../src/core/log/state.js';
import type { OpCommand, Traffic } from './draws.js';
import type { NodeState } from './members.js';

/** Types, ids and names that begin like others. */
export const ENTITIES = ['account:a', 'account:b', 'order:ü:1', 'order:2', 'ghost:x', 'acc:a', 'account:a:b'];
/** Where the commonest steps happen, and seldom anything else. */
const TRAFFIC = ['account:t0', 'account:t1', 'account:t2', 'order:t3', 'account:a', 'account:t4'];
/** Most of what happens, happens to few, or little would come of it. */
const BUSY = [0, 0, 0, 0, 0, 2, 2, 1, 3, 4, 5, 6];
const NAMES = ['Deposit', 'Deposit', 'Withdraw', 'Deposit', 'Secret', 'Dep'];
/** In bytes, not in characters. */
export const LARGE_RESULT = `"${'é'.repeat(600)}"`;

export class SessionOps {
  #ids = 0;

  constructor(private readonly state: PartitionState) {}

  /** A batch as a session makes most of them: what runs ends, then new messages come, and with the first its claim. */
  traffic({ incarnation }: NodeState, { x, steps }: Traffic): SessionOp[] {
    const ends: SessionOp[] = [];
    const arrivals: SessionOp[] = [];
    const depthMax = [0, 0, 2, 4][x % 4]!;
    const claimed = new Set<string>();
    const ended = new Set<string>();
    for (const { entity: which, x, y } of steps) {
      const entity = TRAFFIC[which % TRAFFIC.length]!;
      const rec = this.state.entities.get(entity);
      if (rec?.owner === incarnation && rec.running !== undefined && !ended.has(entity) && x % 4 > 0) {
        ended.add(entity);
        const { seq, attempt } = rec.running;
        const next = [0, 0, -1, rec.pending.peek()?.seq ?? 0][y % 4]!;
        const outcome = { state: 'completed' as const, result: String(y), error: '' };
        ends.push({ op: 'finish', entity, fence: rec.fence, seq, attempt, outcome, sends: [], next });
        continue;
      }
      if ((rec?.owner ?? 0) === 0 && !claimed.has(entity)) {
        claimed.add(entity);
        arrivals.push({ op: 'claim', entity });
      }
      const name = y % 11 === 0 ? 'Withdraw' : 'Deposit';
      const ids = { id: `m${++this.#ids}`, given: false, digest: '' };
      const message = {
        ...ids,
        name,
        payload: `{"v":${y}}`,
        headers: '',
        chain: '',
        waiter: [0, incarnation][x % 2]!,
        replayOf: '',
      };
      arrivals.push({ op: 'append', entity, message, depthMax, begin: x % 5 > 0 });
    }
    return [...ends, ...arrivals];
  }

  /** A message that can begin at once, if the entity is free. */
  arrival(entity: string, x: number): SessionOp[] {
    const given = x % 2 === 0;
    const message = {
      ...{ id: given ? `k${x % 4}` : `m${++this.#ids}`, given, digest: given ? 'digest-0' : '', name: 'Deposit' },
      ...{ payload: '{}', headers: '', chain: '', waiter: 0, replayOf: '' },
    };
    return [
      { op: 'claim', entity },
      { op: 'append', entity, message, depthMax: 0, begin: true },
    ];
  }

  of(node: NodeState, c: OpCommand): SessionOp {
    const entity = ENTITIES[BUSY[c.entity % BUSY.length]!]!;
    const rec = this.state.entities.get(entity);
    const bent = (field: number): number => (c.bent === field ? 1 : 0);
    const fence = (rec?.fence ?? 0) + bent(0);
    const running = rec?.running;
    const seq = (running?.seq ?? c.x % 3) + bent(1);
    const attempt = (running?.attempt ?? 1) + bent(2);
    switch (c.kind) {
      case 'append':
        return { op: 'append', entity, message: this.#message(node, c), depthMax: [0, 0, 2, 4][c.y % 4]!, begin: c.z % 3 > 0 };
      case 'claim':
        return { op: 'claim', entity };
      case 'begin':
        return { op: 'begin', entity, fence, have: c.x % 2 === 0 ? (rec?.pending.peek()?.seq ?? 0) : 0 };
      case 'finish':
        return { op: 'finish', entity, fence, seq, attempt, ...this.#ending(node, c, rec) };
      case 'retry':
        return { op: 'retry', entity, fence, seq, attempt, delayMs: [0, 3, 60][c.x % 3]!, error: '{"message":"once more"}' };
      case 'withdraw': {
        const message = (c.x % 4 === 0 ? running : undefined) ?? [...(rec?.pending ?? [])][c.y % 3];
        return { op: 'withdraw', entity, id: message?.id ?? `k${c.y % 4}`, seq: (message?.seq ?? c.x % 4) + bent(1) };
      }
      case 'release':
        return { op: 'release', entity, fence, handoff: c.x % 2 === 0 };
      case 'takeover':
        return { op: 'takeover', entity, incarnation: c.bent === 0 ? c.x % 4 : (rec?.owner ?? 0) };
      case 'late':
        return this.#late(entity, c);
      case 'expire':
        // Entries due at the same time leave in no fixed order: all or none.
        return { op: 'expire', max: c.x % 5 === 0 ? 0 : 1000 };
      case 'shed':
        return { op: 'shed', from: 0 };
    }
  }

  #message(node: NodeState, c: OpCommand, i = 0): NewMessage {
    const given = c.x % 3 === 0;
    return {
      id: given ? `k${c.y % 4}` : `m${++this.#ids}`,
      given,
      digest: given ? `digest-${c.z % 2}` : '',
      name: NAMES[(c.z + i) % NAMES.length]!,
      payload: `{"v":${c.y},"t":"é\u{1f600}"}`,
      headers: c.y % 5 === 0 ? '{"h":"1"}' : '',
      chain: c.y % 7 === 0 ? '["account:a"]' : '',
      waiter: [0, node.incarnation, 1][c.x % 3]!,
      replayOf: '',
    };
  }

  #ending(node: NodeState, c: OpCommand, rec: EntityRecord | undefined) {
    const failed = c.x % 4 === 0;
    const outcome = failed
      ? { state: 'failed' as const, result: '', error: '{"message":"no"}', noDeadLetter: c.x % 12 === 0 }
      : { state: 'completed' as const, result: ['', '{"ok":true}', LARGE_RESULT][c.y % 3]!, error: '' };
    const sends = Array.from({ length: c.y % 3 === 0 ? 1 + (c.z % 2) : 0 }, (_, i) => ({
      entity: ENTITIES[(c.z + i) % ENTITIES.length]!,
      message: this.#message(node, c, i),
      depthMax: [0, 2, 3][c.z % 3]!,
    }));
    const next = [0, -1, rec?.pending.peek()?.seq ?? 0][c.z % 3]!;
    return { outcome, sends, next };
  }

  #late(entity: string, c: OpCommand): SessionOp {
    const letters = [...this.state.letters.values()];
    const letter = letters.length > 0 && c.bent > 1 ? letters[c.x % letters.length] : undefined;
    const at = letter ?? { entity, message: { seq: c.x % 5, attempt: 1 }, incarnation: 1 + (c.y % 3) };
    const outcome = (['completed', 'failed', 'not-run'] as const)[c.z % 3]!;
    const incarnation = at.incarnation + (c.bent === 2 ? 1 : 0);
    return {
      op: 'late',
      entity: at.entity,
      seq: at.message.seq,
      attempt: at.message.attempt + (c.bent === 3 ? 1 : 0),
      incarnation,
      outcome,
      detail: '"d"',
    };
  }
}
