/** The sweep alone, between parts that say what the test wants. */
import { afterEach, expect, it } from 'vitest';
import type {
  AuditAnswer,
  AuditOp,
  ControlOp,
  MembersAnswer,
  ReadyAnswer,
  ReadyOp,
} from '../../src/core/log/control-operations.js';
import { Recovery, type RecoveryParts } from '../../src/runtime/recovery.js';
import type { Step, StoreSession } from '../../src/runtime/session.js';
import { SystemClock } from '../../src/system/clock.js';
import { sleep, until } from './harness.js';

const ORPHAN = { entity: 'account:orphan', owner: 0, sinceMs: 0 };
const PLACE = 2;

let running: Recovery | undefined;
afterEach(() => running?.stop());

/** A node that neither leads nor is the place of the orphan, in a group whose master does nothing. */
class Scene {
  pages = 0;
  wakes = 0;
  readonly audits: string[] = [];
  readonly damages: string[] = [];
  private dead: { incarnation: number }[] = [];
  private takenOver = 0;
  private readonly recovery: Recovery;

  constructor(
    private readonly page: (n: number) => Promise<Pick<ReadyAnswer, 'entities' | 'next'>>,
    audit: (cursor: string) => Omit<AuditAnswer, 'ok'> = () => ({ cursor: '0', unready: [], missing: [] }),
  ) {
    const nothing = (): void => undefined;
    const members = { ok: true, generation: 'g', nowMs: 1, members: [], leaders: [], contracts: [] } as MembersAnswer;
    const answers = {
      members: () => members,
      ready: (_: ReadyOp) => this.page(++this.pages).then((page) => ({ ok: true, ...page })),
      owned: () => ({ ok: true, cursor: '0', entities: [ORPHAN.entity] }),
      audit: ({ cursor }: AuditOp) => {
        this.audits.push(cursor);
        return { ok: true, ...audit(cursor) };
      },
    };
    const parts = {
      clock: new SystemClock(),
      trace: { verbose: false, emit: (event: string) => void (event === 'buried' && this.takenOver++) },
      config: {
        timing: { heartbeatMs: 60_000, reconcileIntervalMs: 60_000, nodeTTLMs: 60_000 },
        wal: { cleanupIntervalMs: 60_000 },
        deadLetters: { max: 0, ttlMs: 0 },
      },
      store: { control: async (op: ControlOp) => answers[op.op as keyof typeof answers](op as never) },
      network: { send: (to: number, { kind }: { kind: string }) => void (to === PLACE && kind === 'wake' && this.wakes++) },
      membership: {
        ...{ incarnation: 1, generation: 'g', storeNowMs: () => 1, isForeign: () => false, stopWatching: nothing },
        evictTheDead: async () => this.dead.splice(0),
      },
      ownership: {
        avoided: { swept: () => undefined },
        ...{
          workers: new Map(),
          handles: () => true,
          ownedSurely: () => 0,
          releases: 0,
          rebalance: nothing,
          beginRebalance: nothing,
        },
        ...{ sendLateReports: nothing, reportBlockedAfter: nothing },
      },
      replies: { overdue: () => [] },
      view: {
        ...{
          members: [],
          update: nothing,
          isMember: () => true,
          isLive: () => true,
          belongsTo: () => false,
          isHome: () => false,
        },
        ...{ masterOf: () => ({ incarnation: 3 }), placeOf: () => ({ incarnation: PLACE }) },
      },
      directory: { open: 0, answer: nothing, learn: nothing },
      shapes: { fetch: async () => undefined, learn: nothing },
      master: { leads: false, viewUpdated: nothing, viewChanged: nothing },
      router: {},
    };
    this.recovery = new Recovery(parts as unknown as RecoveryParts);
    running = this.recovery;
    const submit = (step: Step): void => (step.answered as (answer: unknown) => void)({ ok: true });
    const damaged = (why: string): void => void this.damages.push(why);
    this.recovery.start({ incarnation: 1, submit, damaged } as unknown as StoreSession, 0);
  }

  /** Another dead member, all of whose entities this node has taken over when this resolves. */
  async takeOver(): Promise<void> {
    const before = this.takenOver;
    this.dead.push({ incarnation: 9 });
    this.recovery.readMembers();
    await until('it is taken over', () => this.takenOver > before);
    await sleep(20);
  }
}

const page = (entities: (typeof ORPHAN)[] = [], next = ''): Pick<ReadyAnswer, 'entities' | 'next'> => ({ entities, next });

it.each<[when: string, script: (scene: () => Scene) => (n: number) => Promise<Pick<ReadyAnswer, 'entities' | 'next'>>]>([
  [
    'while the first page is read',
    (scene) => async (n) => {
      if (n > 1) return page([ORPHAN]);
      await scene().takeOver();
      return page();
    },
  ],
  [
    'after the page on which it stands',
    (scene) => async (n) => {
      if (n !== 2) return page([ORPHAN], n === 1 ? '1 x' : '');
      await scene().takeOver();
      return page();
    },
  ],
  [
    'while a sweep looks for what another dead member left',
    (scene) => async (n) => {
      if (n === 1 || n === 3) await scene().takeOver();
      return n < 4 ? page([], n === 2 ? '1 x' : '') : page([ORPHAN]);
    },
  ],
])('an entity that a dead member left is offered to its place at once, if it was taken over %s', async (_, script) => {
  const scene: Scene = new Scene(script(() => scene));
  await sleep(0);
  await until('it is offered', () => scene.wakes > 0, 1000);
  const { pages } = scene;
  await sleep(100);
  // Then the sweep has its usual pause again.
  expect(scene.pages).toBeLessThanOrEqual(pages + 1);
});

it('a page of entities that the ready set has lost is followed by the next page at once, to the end and not beyond it', async () => {
  const scene = new Scene(
    async () => page(),
    (cursor) => ({ cursor: cursor === '4' ? '0' : `${Number(cursor) + 1}`, unready: [ORPHAN], missing: ['owns'] }),
  );
  await until('all pages were read', () => scene.audits.length >= 5, 1000);
  await sleep(100);
  expect(scene.audits).toEqual(['0', '1', '2', '3', '4']);
  // Keys are lost if they are missing in two sweeps, not in two calls 20 ms apart.
  expect(scene.damages).toEqual([]);
});

it('a page that lacks nothing costs a sweep one call of the audit', async () => {
  const scene = new Scene(
    async () => page(),
    () => ({ cursor: '1', unready: [], missing: [] }),
  );
  await sleep(100);
  expect(scene.audits).toEqual(['0']);
});
