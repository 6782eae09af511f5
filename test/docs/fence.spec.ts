import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sqlite from 'node-sqlite3-wasm';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describePostgres, type PostgresServer, startPostgres } from '../support/postgres-server.js';
import { compileExamples, examplesOf, programOf } from './examples.js';

const OUT = 'build/docs-fence';

const OPENING = 99;

interface Connection {
  query(sql: string, values: readonly unknown[]): Promise<{ readonly rows: readonly { readonly balance: number }[] }>;
}

type Withdraw = (db: Connection, fence: number, accountId: string, amount: number) => Promise<number>;

/** What the page shows. */
interface Recipe {
  readonly CLAIM: string;
  readonly CLAIM_OR_CREATE: string;
  readonly LOCK: string;
  withdraw(db: Connection, fence: number, accountId: string, amount: number, claim?: string): Promise<number>;
}

let recipe: Recipe;

beforeAll(async () => {
  const examples = examplesOf('docs/guide.md', readFileSync('docs/guide.md', 'utf8'));
  const [example] = examples.filter(({ file }) => file === 'fenced-account');
  if (example === undefined) throw new Error('docs/guide.md has no example fenced-account.ts');
  expect([...compileExamples([example], OUT).values()].flat()).toEqual([]);
  recipe = (await import(pathToFileURL(programOf(example, OUT)).href)) as Recipe;
});
afterAll(() => rmSync(OUT, { recursive: true, force: true }));

/** A recipe that reads first and compares the fence only with its write. The pages must not show it. */
const readFirst: Withdraw = async (db, fence, accountId, amount) => {
  const { rows } = await db.query('SELECT balance FROM account WHERE id = $1', [accountId]);
  const balance = (rows[0]?.balance ?? 0) - amount;
  const UPDATE = 'UPDATE account SET balance = $1, fence = $2 WHERE id = $3 AND fence <= $2 RETURNING balance';
  const written = await db.query(UPDATE, [balance, fence, accountId]);
  if (written.rows.length === 0) throw new Error(`account ${accountId} has a newer owner`);
  return balance;
};

/** One handler that stands still between its first statement and its second. */
class Handler {
  #readDone = (): void => undefined;
  #wake = (): void => undefined;
  readonly read = new Promise<void>((resolve) => {
    this.#readDone = resolve;
  });
  readonly #woken = new Promise<void>((resolve) => {
    this.#wake = resolve;
  });
  readonly #ended: Promise<boolean>;

  constructor(run: (gate: (db: Connection) => Connection) => Promise<unknown>) {
    this.#ended = run((db) => this.#gate(db)).then(
      () => true,
      () => false,
    );
  }

  #gate(db: Connection): Connection {
    let statements = 0;
    return {
      query: async (sql, values) => {
        if (++statements > 1) await this.#woken;
        const answer = await db.query(sql, values);
        this.#readDone();
        return answer;
      },
    };
  }

  /** Goes on. Resolves at its end: whether it says that it has withdrawn. */
  wake(): Promise<boolean> {
    this.#wake();
    return this.#ended;
  }
}

interface Played {
  readonly read: 'both' | 'one after the other';
  readonly withdrawn: readonly boolean[];
}

/** A successor that can read has read by then; one that waits for the row is looked at after the shorter time. */
const READS_WITHIN_MS = 15_000;
const WAITS_FOR_MS = 400;

/**
 * The owner reads under fence 1 and is paused; its successor reads under fence 2, if the database lets it; the paused owner
 * wakes and writes; then the successor writes.
 */
async function play(owner: Handler, successorOf: () => Handler, patienceMs: number): Promise<Played> {
  await owner.read;
  const successor = successorOf();
  const waited = new Promise<'one after the other'>((resolve) => {
    setTimeout(() => resolve('one after the other'), patienceMs);
  });
  const read = await Promise.race([successor.read.then(() => 'both' as const), waited]);
  return { read, withdrawn: [await owner.wake(), await successor.wake()] };
}

/** A connection as a handler uses it: each statement by itself, or all of a handler in one transaction. */
type Use = (db: Connection, run: (db: Connection) => Promise<unknown>) => Promise<unknown>;

const singly: Use = (db, run) => run(db);

const inTransaction =
  (begin: string): Use =>
  async (db, run) => {
    await db.query(begin, []);
    try {
      const result = await run(db);
      await db.query('COMMIT', []);
      return result;
    } catch (error) {
      await db.query('ROLLBACK', []);
      throw error;
    }
  };

interface Database {
  readonly owner: Connection;
  readonly successor: Connection;
}

const schedule = (db: Database, use: Use, withdraw: Withdraw, patienceMs = READS_WITHIN_MS): Promise<Played> => {
  const handler = (connection: Connection, fence: number): Handler =>
    new Handler((gate) => use(connection, (own) => withdraw(gate(own), fence, 'a', 1)));
  return play(handler(db.owner, 1), () => handler(db.successor, 2), patienceMs);
};

const balanceOf = async ({ owner }: Database, id = 'a'): Promise<number | undefined> =>
  (await owner.query('SELECT balance FROM account WHERE id = $1', [id])).rows[0]?.balance;

const TABLE = 'CREATE TABLE account (id TEXT PRIMARY KEY, balance INTEGER NOT NULL, fence INTEGER NOT NULL)';
const ROW = 'INSERT INTO account (id, balance, fence) VALUES ($1, $2, $3)';

async function fill({ owner }: Database): Promise<void> {
  await owner.query(TABLE, []);
  await owner.query(ROW, ['a', OPENING, 0]);
}

/** What holds on every database. */
function testRecipes(database: () => Database, begin: string): void {
  it.each([['CLAIM'], ['CLAIM_OR_CREATE']] as const)(
    'statement by statement, %s refuses the owner that was paused',
    async (claim) => {
      const withdraw: Withdraw = (...call) => recipe.withdraw(...call, recipe[claim]);
      expect(await schedule(database(), singly, withdraw)).toEqual({ read: 'both', withdrawn: [false, true] });
      expect(await balanceOf(database())).toBe(OPENING - 1);
    },
  );

  it.each([['CLAIM'], ['CLAIM_OR_CREATE']] as const)('in a transaction, %s lets the successor wait', async (claim) => {
    const withdraw: Withdraw = (...call) => recipe.withdraw(...call, recipe[claim]);
    const played = await schedule(database(), inTransaction(begin), withdraw, WAITS_FOR_MS);
    expect(played).toEqual({ read: 'one after the other', withdrawn: [true, true] });
    expect(await balanceOf(database())).toBe(OPENING - 2);
  });

  it('refuses a lower fence from its first statement on, and takes the same one again', async () => {
    const { owner, successor } = database();
    await recipe.withdraw(successor, 2, 'a', 1);
    await expect(recipe.withdraw(owner, 1, 'a', 1)).rejects.toThrow('account a has a newer owner');
    await recipe.withdraw(successor, 2, 'a', 1);
    expect(await balanceOf(database())).toBe(OPENING - 2);
  });

  it('creates a row once, and never for a lower fence', async () => {
    const { owner, successor } = database();
    await expect(recipe.withdraw(successor, 2, 'new', 1)).rejects.toThrow('account new has a newer owner, or is not there');
    await expect(recipe.withdraw(successor, 2, 'new', 1, recipe.CLAIM_OR_CREATE)).rejects.toThrow('has 0');
    await expect(recipe.withdraw(owner, 1, 'new', 0, recipe.CLAIM_OR_CREATE)).rejects.toThrow('has a newer owner');
    expect(await balanceOf(database(), 'new')).toBe(0);
  });

  it('a recipe that reads before it claims loses a payment: both say that they have withdrawn', async () => {
    expect(await schedule(database(), singly, readFirst)).toEqual({ read: 'both', withdrawn: [true, true] });
    expect(await balanceOf(database())).toBe(OPENING - 1);
  });
}

describe('the fence of the guide, on SQLite', () => {
  let dir = '';
  let db: Database;

  /** Waits as drivers do while another connection holds the lock. */
  function connectionOf(database: InstanceType<typeof sqlite.Database>): Connection {
    const run = async (sql: string, values: readonly unknown[]): ReturnType<Connection['query']> => {
      try {
        const named = Object.fromEntries(values.map((value, i) => [`$${i + 1}`, value as string | number]));
        return { rows: database.all(sql, named) as unknown as { balance: number }[] };
      } catch (error) {
        if (!/database is locked/.test(String(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return run(sql, values);
      }
    };
    return { query: run };
  }

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aq-sqlite-'));
    const open = [1, 2].map(() => new sqlite.Database(join(dir, 'bank.db')));
    const [owner, successor] = open.map(connectionOf);
    if (owner === undefined || successor === undefined) throw new Error('two connections');
    db = { owner, successor };
    await fill(db);
    return () => {
      for (const database of open) database.close();
      rmSync(dir, { recursive: true, force: true });
    };
  });

  testRecipes(() => db, 'BEGIN IMMEDIATE');
});

describePostgres("the fence of the guide, on Postgres' defaults", () => {
  let server: PostgresServer;
  let db: Database;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    const clients = [1, 2].map(() => new Client({ connectionString: server.url }));
    for (const client of clients) await client.connect();
    const [owner, successor] = clients.map(
      (client): Connection => ({ query: (sql, values) => client.query<{ balance: number }>(sql, [...values]) }),
    );
    if (owner === undefined || successor === undefined) throw new Error('two connections');
    db = { owner, successor };
    await owner.query('DROP TABLE IF EXISTS account', []);
    await fill(db);
    return async () => {
      for (const client of clients) await client.end();
    };
  });

  it('are READ COMMITTED', async () => {
    const { rows } = await db.owner.query('SHOW transaction_isolation', []);
    expect(rows).toEqual([{ transaction_isolation: 'read committed' }]);
  });

  testRecipes(() => db, 'BEGIN');

  it('in a transaction, LOCK lets the successor wait', async () => {
    const withdraw: Withdraw = (...call) => recipe.withdraw(...call, recipe.LOCK);
    const played = await schedule(db, inTransaction('BEGIN'), withdraw, WAITS_FOR_MS);
    expect(played).toEqual({ read: 'one after the other', withdrawn: [true, true] });
    expect(await balanceOf(db)).toBe(OPENING - 2);
  });

  it('in a transaction too, a recipe that reads before it claims loses a payment', async () => {
    expect(await schedule(db, inTransaction('BEGIN'), readFirst)).toEqual({ read: 'both', withdrawn: [true, true] });
    expect(await balanceOf(db)).toBe(OPENING - 1);
  });

  it('outside of a transaction, LOCK loses a payment, as the page says', async () => {
    const withdraw: Withdraw = (...call) => recipe.withdraw(...call, recipe.LOCK);
    expect(await schedule(db, singly, withdraw)).toEqual({ read: 'both', withdrawn: [true, true] });
    expect(await balanceOf(db)).toBe(OPENING - 1);
  });
});
