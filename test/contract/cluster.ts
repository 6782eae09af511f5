/** What the log has to know of members: who lives, until when, what each says of itself, and when it is forgotten. */
import assert from 'node:assert';
import type {
  Contract,
  ControlAnswer,
  EvictOp,
  HeartbeatOp,
  JoinOp,
  Member,
  MembersAnswer,
  MembersOp,
  ReportOp,
} from '../../src/core/log/control-operations.js';

interface Known extends JoinOp {
  readonly incarnation: number;
  heartbeat: number;
  leaseUntilMs: number;
  isDead: boolean;
  eligible: boolean;
  unreachable: readonly number[];
}

/** Refusals of an identity, which test/redis/went-back.spec.ts judges. */
const OF_STRANGERS = ['LOST', 'UNKNOWN', 'FENCED', 'CLOSED', 'SCHEMA'];

export class Cluster {
  /** The settings of the newest member. */
  join: JoinOp | undefined;
  readonly #known: Known[] = [];

  /** `owns`: how many entities that incarnation owns. */
  constructor(private readonly owns: (incarnation: number) => number) {}

  /** Members that are not forgotten: a dead one is as soon as it owns nothing. */
  #listed(): Known[] {
    return this.#known.filter(({ isDead, incarnation }) => !isDead || this.owns(incarnation) > 0);
  }

  #find(incarnation: number): Known | undefined {
    return this.#listed().find((m) => m.incarnation === incarnation);
  }

  isAlive(incarnation: number): boolean {
    return this.#known.some((m) => m.incarnation === incarnation && !m.isDead);
  }

  contracts(incarnation: number): readonly Contract[] {
    return this.#find(incarnation)?.contracts ?? [];
  }

  workersMax(): number {
    const living = this.#known.filter((m) => !m.isDead && m.contracts.length > 0);
    return living.some((m) => m.workersMax === 0) ? 0 : living.reduce((sum, m) => sum + m.workersMax, 0);
  }

  // ---- judgement

  joined(op: JoinOp, answer: ControlAnswer, nowMs: number): void {
    const living = this.#known.find((m) => !m.isDead && m.serverId === op.serverId);
    if (!answer.ok) {
      if (answer.code === 'DUPLICATE_SERVER_ID')
        assert.deepStrictEqual([answer.at, living?.token !== op.token], [living?.incarnation, true]);
      return;
    }
    if (!('incarnation' in answer)) return;
    const { incarnation, leaseUntilMs } = answer;
    if (living !== undefined) {
      assert.strictEqual(living.token, op.token, `${op.serverId} was let in beside its twin`);
      assert.deepStrictEqual([incarnation, leaseUntilMs], [living.incarnation, living.leaseUntilMs]);
      return;
    }
    assert.deepStrictEqual([incarnation, leaseUntilMs], [this.#known.length + 1, nowMs + op.settings.leaseTtlMs]);
    this.join = op;
    this.#known.push({ ...op, incarnation, leaseUntilMs, heartbeat: 0, isDead: false, eligible: true, unreachable: [] });
  }

  heartbeat(op: HeartbeatOp, answer: ControlAnswer, nowMs: number): void {
    const member = this.#find(op.incarnation);
    if (isStranger(answer) || member === undefined) return;
    assert.strictEqual(answer.ok, op.heartbeat > member.heartbeat, `beat ${op.heartbeat} after ${member.heartbeat}`);
    if (!answer.ok) return;
    member.heartbeat = op.heartbeat;
    member.leaseUntilMs = nowMs + (this.join?.settings.leaseTtlMs ?? 0);
    assert('leaseUntilMs' in answer && answer.leaseUntilMs === member.leaseUntilMs);
  }

  report({ incarnation, eligible, unreachable }: ReportOp, answer: ControlAnswer): void {
    const member = this.#find(incarnation);
    if (answer.ok && member !== undefined) Object.assign(member, { eligible, unreachable });
  }

  left(incarnation: number, answer: ControlAnswer): void {
    if (isStranger(answer)) return;
    const member = this.#known.find((m) => m.incarnation === incarnation);
    // One that is dead has left.
    if (member === undefined || member.isDead) return;
    assert.strictEqual(answer.ok, this.owns(incarnation) === 0);
    if (answer.ok) member.isDead = true;
  }

  evicted({ incarnation, heartbeatSeen }: EvictOp, answer: ControlAnswer, nowMs: number): void {
    if (isStranger(answer)) return;
    const member = this.#find(incarnation);
    const isSpared = member !== undefined && !member.isDead;
    const why =
      isSpared && member.leaseUntilMs > nowMs
        ? 'NOT_LAPSED'
        : isSpared && member.heartbeat !== heartbeatSeen
          ? 'BEATING'
          : undefined;
    assert.strictEqual(answer.ok ? undefined : answer.code, why);
    if (!answer.ok) return;
    assert('count' in answer && answer.count === (member === undefined ? 0 : this.owns(incarnation)));
    if (member !== undefined) member.isDead = true;
  }

  listed({ contractsAbove }: MembersOp, { members, contracts }: MembersAnswer): void {
    const listed = this.#listed();
    const want = listed.map(
      ({
        incarnation,
        serverId,
        group,
        address,
        heartbeat,
        leaseUntilMs,
        isDead,
        contracts: own,
        eligible,
        unreachable,
      }): Member => ({
        ...{ incarnation, serverId, group, address, heartbeat, leaseUntilMs, dead: isDead, owns: this.owns(incarnation) },
        ...{ types: own.map(({ type }) => type), eligible, unreachable },
      }),
    );
    assert.deepStrictEqual(members, want);
    const above = listed.filter(({ incarnation }) => contractsAbove !== undefined && incarnation > contractsAbove);
    const count = above.reduce((sum, member) => sum + member.contracts.length, 0);
    assert.strictEqual(contracts.length, count);
  }
}

const isStranger = (answer: ControlAnswer): boolean => !answer.ok && OF_STRANGERS.includes(answer.code);
