/**
 * Generated scripts of store calls. fast-check draws abstract commands; the driver turns each into a call that is mostly
 * valid, by looking at the state of the core that it drives, and records the call with the core's answer. Every other store
 * has to give the same answers to the same calls.
 */
import { typeOfKey } from '../../src/core/ids.js';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { ControlAnswer, ControlOp, LetterFilter } from '../../src/core/log/control-operations.js';
import type { Answer, Batch, BatchReply, SessionOp } from '../../src/core/log/operations.js';
import { type EntityRecord, PartitionState } from '../../src/core/log/state.js';
import type { Command, OpCommand, Scenario } from './draws.js';
import { contractsOf, identityOf, type NodeState, remembered, strange, tokenOf } from './members.js';
import { ENTITIES, LARGE_RESULT, SessionOps } from './session-ops.js';

export const START_MS = 1_700_000_000_000;
/** A page that has room for all of them. */
export const READY_ALL = 1000;
const NODES = [0, 0, 0, 0, 1, 1, 2];
/** After so long every hold and backoff is over. */
const LONG_MS = 1_000_000_000_000;

export type Call = { readonly batch: Batch } | { readonly control: ControlOp };
export type Reply = BatchReply | ControlAnswer;
export interface Step {
  readonly call: Call;
  readonly nowMs: number;
  readonly reply: Reply;
}

/** Sees every call that changed the core, with its answers. */
export interface Witness {
  applied(op: SessionOp, me: number, answer: Answer, nowMs: number): void;
  controlled(op: ControlOp, answer: ControlAnswer, nowMs: number): void;
}

export class Driver {
  readonly state = new PartitionState();
  readonly steps: Step[] = [];
  readonly #nodes: NodeState[] = ['s-b', 's-a', 's-c'].map((serverId, i) => ({
    ...{ serverId, group: i < 2 ? 'one' : 'two', incarnation: 0, heartbeat: 0, n: 0, token: 0, sent: [] },
  }));
  #nowMs = START_MS;
  readonly #ops = new SessionOps(this.state);

  constructor(
    readonly scenario: Scenario,
    readonly witness: Witness,
  ) {}

  run(): readonly Step[] {
    for (const node of this.#nodes.slice(0, 2)) this.#join(node, 0);
    for (const command of this.scenario.commands) this.#do(command);
    this.#probe();
    return this.steps;
  }

  #do(command: Command): void {
    switch (command.do) {
      case 'tick':
        this.#nowMs += command.byMs;
        return;
      case 'batch':
        this.#send(this.#batch(this.#node(command.node), command.ops));
        return;
      case 'traffic': {
        const node = this.#node(command.node);
        this.#send(this.#numbered(node, this.#ops.traffic(node, command)));
        return;
      }
      case 'overtaken':
        this.#overtaken(this.#node(command.node), command.ops);
        return;
      case 'copy': {
        // A copy of what was sent before, also of what a former incarnation sent, comes late or twice.
        const { sent } = this.#node(command.node);
        const batch = sent[sent.length - 1 - command.back];
        if (batch !== undefined) this.#send(batch);
        return;
      }
      case 'crash':
        this.#crash(this.#node(command.node));
        return;
      case 'dies':
        this.#dies(this.#node(command.node), command.x);
        return;
      case 'edge':
        this.#edge(command);
        return;
      case 'otherGeneration': {
        const node = this.#node(command.node);
        this.#send({ ...strange(identityOf(node), command.node), n: node.n + 1, ops: [] });
        return;
      }
      case 'failovers':
        this.#failovers(command.x);
        return;
      case 'control':
        this.#control(this.#controlOf(command));
    }
  }

  /** Every group gets a master, the masters renew, one lets its record lapse, and a group gets its next master. */
  #failovers(x: number): void {
    const { leaderTtlMs, leaderDebounceMs } = this.state.settings;
    const lead = (nodes: readonly NodeState[]): void => {
      for (const node of nodes)
        this.#control({ op: 'heartbeat', ...identityOf(node), heartbeat: ++node.heartbeat, acknowledged: node.heartbeat - 1 });
      for (const node of nodes) this.#control({ op: 'lead', ...identityOf(node) });
    };
    this.#nowMs += leaderDebounceMs;
    lead(this.#nodes);
    lead(this.#nodes);
    const late = this.#nodes[x % this.#nodes.length];
    for (let i = 0; i < 3; i++) {
      this.#nowMs += Math.ceil(leaderTtlMs / 3);
      lead(this.#nodes.filter((node) => node !== late));
    }
    lead(this.#nodes);
  }

  #node(x: number): NodeState {
    return this.#nodes[NODES[x % NODES.length]!]!;
  }

  // ---- batches

  #batch(node: NodeState, ops: readonly OpCommand[]): Batch {
    return this.#numbered(
      node,
      ops.map((op) => this.#ops.of(node, op)),
    );
  }

  #numbered(node: NodeState, ops: readonly SessionOp[]): Batch {
    const batch = { ...identityOf(node), n: ++node.n, ops };
    node.sent.push(batch);
    return batch;
  }

  /** Two in flight: the second arrives first and finds a gap, then both arrive. */
  #overtaken(node: NodeState, ops: readonly OpCommand[]): void {
    const first = this.#batch(node, ops.slice(0, 1));
    const second = this.#batch(node, ops.slice(1));
    for (const batch of [second, first, second]) this.#send(batch);
  }

  #send(batch: Batch): void {
    const last = this.state.sessions.get(batch.incarnation)?.last;
    const reply = applyBatch(this.state, batch, this.#nowMs);
    this.steps.push({ call: { batch }, nowMs: this.#nowMs, reply: structuredClone(reply) });
    if (reply.status !== 'applied' || batch.n !== (last ?? 0) + 1) return;
    batch.ops.forEach((op, i) => {
      this.witness.applied(op, batch.incarnation, reply.answers[i]!, this.#nowMs);
    });
  }

  /** The process dies between an apply and its reply, is buried, and another takes over what it owned. */
  #crash(node: NodeState): void {
    const dead = node.incarnation;
    const { settings, otherSettings } = this.scenario;
    this.#nowMs += Math.max(settings.leaseTtlMs, otherSettings.leaseTtlMs);
    this.#control({
      op: 'evict',
      generation: 'g1',
      incarnation: dead,
      heartbeatSeen: this.state.members.get(dead)?.heartbeat ?? 0,
    });
    const other = this.#nodes.find((n) => n !== node && this.state.sessions.has(n.incarnation));
    const owned = [...this.state.entities].filter(([, rec]) => rec.owner === dead).map(([key]) => key);
    if (other !== undefined && owned.length > 0) {
      const takeovers = owned.map((entity) => ({ op: 'takeover' as const, entity, incarnation: dead }));
      const [entity] = owned as [string];
      const claims = [
        { op: 'claim' as const, entity },
        { op: 'begin' as const, entity, fence: this.state.fence + 1, have: 0 },
      ];
      const batch = { ...identityOf(other), n: ++other.n, ops: [...takeovers, ...claims] };
      other.sent.push(batch);
      this.#send(batch);
    }
    this.#join(node, 1);
  }

  /** A message fails, and most often its handler is heard of once more after that. */
  #dies(node: NodeState, x: number): void {
    const entity = ['account:d', 'acc:a', 'order:d'][x % 3]!;
    const me = node.incarnation;
    this.#send(this.#numbered(node, this.#ops.arrival(entity, x)));
    const { owner, fence, running } = this.state.entities.get(entity) ?? {};
    if (owner !== me || fence === undefined || running === undefined) return;
    const { seq, attempt } = running;
    const outcome = { state: 'failed' as const, result: '', error: '{"message":"no"}' };
    this.#send(this.#numbered(node, [{ op: 'finish', entity, fence, seq, attempt, outcome, sends: [], next: -1 }]));
    const heard = (['completed', 'completed', 'failed', undefined] as const)[x % 4];
    if (heard === undefined) return;
    this.#send(this.#numbered(node, [{ op: 'late', entity, seq, attempt, incarnation: me, outcome: heard, detail: '"d"' }]));
  }

  /** Something ends: goes to one ms before that, to that, or to one ms after it, and asks then. */
  #edge({ of, node: which, x }: Extract<Command, { do: 'edge' }>): void {
    const node = this.#node(which);
    const lateByMs = (x % 3) - 1;
    const send = (...ops: SessionOp[]): void => this.#send(this.#numbered(node, ops));
    if (of === 'retention') {
      const due = this.state.expiry.peek();
      if (due === undefined) return;
      this.#nowMs = Math.max(this.#nowMs, due.atMs + lateByMs);
      send({ op: 'expire', max: 1000 });
      const [entity = '', id = ''] = due.kept.split('\x1e');
      if (due.kept !== '') this.#control({ op: 'lookup', entity, id, seq: 1 });
    } else if (of === 'hold') {
      const isHeld = ({ holdUntilMs, owner }: EntityRecord): boolean =>
        holdUntilMs > this.#nowMs && (owner === 0 || owner === node.incarnation);
      const [entity, rec] = [...this.state.entities].find(([, record]) => isHeld(record)) ?? [];
      if (entity === undefined || rec === undefined) return;
      send({ op: 'claim', entity });
      this.#nowMs += x % 5;
      send({ op: 'release', entity, fence: rec.fence, handoff: true }, { op: 'claim', entity });
      this.#nowMs = Math.max(this.#nowMs, rec.holdUntilMs + lateByMs);
      send({ op: 'begin', entity, fence: rec.fence, have: 0 });
    } else {
      const entity = 'account:d';
      const { resultTtlMs } = this.state.settings;
      send(...this.#ops.arrival(entity, 2 * x));
      const { owner, fence = 0, running } = this.state.entities.get(entity) ?? {};
      if (owner !== node.incarnation || running === undefined) return;
      const { seq, attempt, id } = running;
      const outcome = { state: 'completed' as const, result: LARGE_RESULT, error: '' };
      send({ op: 'finish', entity, fence, seq, attempt, outcome, sends: [], next: -1 });
      this.#nowMs += resultTtlMs + lateByMs;
      send({ op: 'shed', from: 0 });
      this.#control({ op: 'lookup', entity, id, seq });
    }
  }

  // ---- control operations

  #control(op: ControlOp): ControlAnswer {
    const reply = applyControl(this.state, op, this.#nowMs);
    this.steps.push({ call: { control: op }, nowMs: this.#nowMs, reply: structuredClone(reply) });
    this.witness.controlled(op, reply, this.#nowMs);
    return reply;
  }

  /** x: 0 with the token as before, 1 with another one, 2 with another schema. */
  #join(node: NodeState, x: number): void {
    const before = identityOf(node);
    const former =
      node.incarnation === 0
        ? undefined
        : remembered(node, x === 0 && node.n % 7 === 3 ? strange(before, node.n) : before, node.n);
    if (x === 1) node.token++;
    const { workersMax } = this.scenario;
    const settings = node.token % 2 === 0 ? this.scenario.settings : this.scenario.otherSettings;
    const contracts = contractsOf(node);
    const answer = this.#control({
      ...{ op: 'join', serverId: node.serverId, group: node.group, address: 'h:1', token: tokenOf(node.serverId, node.token) },
      ...{ generation: 'g1', ...(former === undefined ? {} : { former }) },
      ...{ schema: x === 2 ? 9 : 1, workersMax, settings },
      contracts,
      ...(node.token % 3 === 0 || contracts.length === 0
        ? {}
        : { schemas: [{ type: 'account', text: `{"token":${node.token}}` }] }),
    });
    if (!answer.ok || !('incarnation' in answer) || answer.incarnation === node.incarnation) return;
    Object.assign(node, { incarnation: answer.incarnation, heartbeat: 0, n: 0 });
  }

  #controlOf(c: Extract<Command, { do: 'control' }>): ControlOp {
    const node = this.#node(c.node);
    const { incarnation } = node;
    const me = c.y % 9 === 0 ? strange(identityOf(node), c.x) : identityOf(node);
    const letters = [...this.state.letters.keys()];
    const letter = letters[c.x % Math.max(1, letters.length)] ?? '7';
    switch (c.kind) {
      case 'join':
        this.#join(node, c.x % 3);
        return { op: 'counts' };
      case 'audit':
        return { op: 'audit', incarnation: node.incarnation, owned: 0, cursor: '0' };
      case 'heartbeat':
        return {
          ...{ op: 'heartbeat', ...me, heartbeat: c.x % 5 === 0 ? node.heartbeat : ++node.heartbeat },
          acknowledged: c.y % 7 === 0 ? node.heartbeat : Math.max(0, node.heartbeat - 2),
        };
      case 'evict':
        return {
          op: 'evict',
          generation: me.generation,
          incarnation,
          heartbeatSeen: c.x % 4 === 0 ? 99 : (this.state.members.get(incarnation)?.heartbeat ?? 0),
        };
      case 'report':
        return { op: 'report', ...me, eligible: c.x % 3 !== 0, unreachable: [[], [1], [2], [1, 3]][c.y % 4]! };
      case 'replay':
        return { op: 'replay', letter: (c.y % 3 === 0 ? this.#lateLetter() : undefined) ?? letter, force: c.y % 2 === 0 };
      case 'purge':
        if (c.y % 2 === 0) return { op: 'purge', letter };
        return { op: 'purge', letter, limits: { max: [0, 1, 2][c.x % 3]!, ttlMs: [0, 0, 40, 1000][c.y % 4]! } };
      case 'closeStore':
        // Seldom the right one: nothing works afterwards.
        return { op: 'closeStore', generation: c.x % 8 === 0 ? 'g1' : 'g0' };
      case 'ready':
        return { op: 'ready', after: this.#readyCursor(c.x), max: c.y % 4 };
      case 'owned':
        return { op: 'owned', incarnation, cursor: '0' };
      case 'lookup':
        return {
          op: 'lookup',
          ...(c.x % 3 === 0 ? {} : { generation: me.generation }),
          entity: ENTITIES[c.x % ENTITIES.length]!,
          id: `k${c.y % 4}`,
          seq: c.y % 6,
        };
      case 'letters':
        return { op: 'letters', after: c.x % 2 === 0 ? '' : letter, max: 1 + (c.y % 3), ...this.#filterOf(c.x + c.y) };
      case 'schemas':
        return { op: 'schemas', incarnation, type: c.x % 4 === 0 ? 'order' : 'account' };
      case 'entity':
        return { op: 'entity', entity: ENTITIES[c.x % ENTITIES.length]!, max: c.y % 3 };
      case 'history':
        return { op: 'history', entity: ENTITIES[c.x % ENTITIES.length]!, cursor: '0' };
      case 'survey':
        return { op: 'survey', cursor: '0' };
      case 'members':
        return c.x % 2 === 0 ? { op: 'members' } : { op: 'members', contractsAbove: c.y % 4 };
      default:
        if (c.kind === 'leave') return { op: c.kind, ...remembered(node, me, c.x) };
        return c.kind === 'counts' ? { op: c.kind } : { op: c.kind, ...me };
    }
  }

  /** A letter whose handler has ended after all. */
  #lateLetter(): string | undefined {
    return [...this.state.letters.values()].find(({ late, replayedAs }) => late === 'completed' && replayedAs === '')?.id;
  }

  /** Of a page that ended with that entity, which may have moved or gone since; mostly one that is still there. */
  #readyCursor(x: number): string {
    const [entity, atMs] = [...this.state.ready][x % 4] ?? [ENTITIES[x % ENTITIES.length], this.#nowMs];
    return x % 3 === 0 ? '' : `${atMs - (x % 5 === 0 ? 1 : 0)} ${entity}`;
  }

  #filterOf(x: number): LetterFilter {
    const died = [...this.state.letters.values()].map(({ diedAtMs }) => diedAtMs);
    const entity = ENTITIES[x % ENTITIES.length]!;
    const filters: readonly LetterFilter[] = [
      {},
      { type: typeOfKey(entity) },
      { entity },
      { reason: x % 2 === 0 ? 'failed' : 'interrupted' },
      { sinceMs: died[x % Math.max(1, died.length)] ?? 0 },
      { replayed: x % 2 === 0 },
    ];
    return filters[x % filters.length]!;
  }

  /** Everything that can be read, at the end. */
  #probe(): void {
    this.#control({ op: 'counts' });
    this.#control({ op: 'members', contractsAbove: 0 });
    this.#control({ op: 'letters', after: '', max: 1000 });
    this.#control({ op: 'survey', cursor: '0' });
    for (let incarnation = 1; incarnation <= this.state.incarnation; incarnation++) {
      this.#control({ op: 'schemas', incarnation, type: 'account' });
    }
    for (const entity of ENTITIES) {
      this.#control({ op: 'entity', entity, max: 100 });
      this.#control({ op: 'history', entity, cursor: '0' });
    }
    for (let incarnation = 1; incarnation <= this.state.incarnation; incarnation++) {
      this.#control({ op: 'owned', incarnation, cursor: '0' });
    }
    for (const [key, { seq }] of this.state.kept) {
      const [entity = '', id = ''] = key.split('\x1e');
      this.#control({ op: 'lookup', entity, id, seq });
    }
    for (const [entity, rec] of this.state.entities) {
      for (const { id, seq } of rec.pending) this.#control({ op: 'lookup', entity, id, seq });
    }
    this.#nowMs += LONG_MS;
    this.#control({ op: 'ready', after: '', max: READY_ALL });
  }
}
