import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderConfig, renderErrors } from '../../scripts/render-docs.js';
import { CONFIG_FIELDS } from '../../src/core/config.js';
import { ERRORS } from '../../src/core/errors.js';
import { differences, firstColumn, invariantIdsIn } from './docs.js';
import { readSources } from './source.js';

/** The codes that users rely on: none may go, and a new one is a decision that changes this list. */
const CODES = [
  ...['QUEUE_DEPTH_EXCEEDED', 'WORKER_LIMIT_EXCEEDED', 'STORE_UNAVAILABLE', 'NOT_MASTER', 'MASTER_REBUILDING', 'NO_MASTER'],
  ...['STALE_EPOCH', 'FENCED', 'MAX_HOPS_EXCEEDED', 'CIRCUIT_OPEN', 'PETITION_LIMIT_EXCEEDED', 'REPLY_TIMEOUT', 'INTERRUPTED'],
  ...['HANDLER_FAILED', 'UNKNOWN_ENTITY_TYPE', 'UNKNOWN_MESSAGE', 'INVALID_ENTITY_ID', 'SCHEMA_VIOLATION', 'CONFIG_INVALID'],
  ...['SHUTTING_DOWN', 'OUTCOME_UNKNOWN', 'CALL_CYCLE', 'PAYLOAD_TOO_LARGE', 'STORE_LOST', 'WITHDRAWN'],
];

const INVARIANTS = ['I1', 'I2', 'I2f', 'I3', 'I4', 'I5', 'I6', 'I7', 'L1', 'L2', 'L3', 'L4', 'L5'];

function page(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new Error(`${path} does not exist`);
  }
}

describe('the error codes', () => {
  it('are exactly those that users rely on', () => {
    expect(differences(Object.keys(ERRORS), CODES, 'src/core/errors.ts')).toEqual([]);
  });

  it('each have a row in docs/errors.md, and each row a code', () => {
    expect(differences(firstColumn(page('docs/errors.md')), Object.keys(ERRORS), 'docs/errors.md')).toEqual([]);
  });

  it('stand in docs/errors.md as the table in the code says', () => {
    expect(page('docs/errors.md'), 'run "npm run docs"').toBe(renderErrors(ERRORS));
  });
});

describe('the config fields', () => {
  it('each have a row in docs/config.md, and each row a field', () => {
    const fields = CONFIG_FIELDS.map((field) => field.path);
    expect(differences(firstColumn(page('docs/config.md')), fields, 'docs/config.md')).toEqual([]);
  });

  it('stand in docs/config.md as the table in the code says', () => {
    expect(page('docs/config.md'), 'run "npm run docs"').toBe(renderConfig(CONFIG_FIELDS));
  });

  it('each come with guidance', () => {
    expect(CONFIG_FIELDS.filter((field) => field.guidance.trim() === '')).toEqual([]);
  });
});

describe('the invariants', () => {
  it('each have a row in docs/invariants.md, and each row an invariant', () => {
    const ids = firstColumn(page('docs/invariants.md')).flatMap(invariantIdsIn);
    expect(differences(ids, INVARIANTS, 'docs/invariants.md')).toEqual([]);
  });

  it('that the code names are those of the page', () => {
    const named = readSources(['src', 'test', 'demo'], '.ts').filter((source) => !source.path.startsWith('test/tidy/'));
    const unknown = named.flatMap(({ path, text }) =>
      invariantIdsIn(text)
        .filter((id) => !INVARIANTS.includes(id))
        .map((id) => `${path} names ${id}`),
    );
    expect(unknown).toEqual([]);
  });

  it('each are named by a test or by the code', () => {
    const named = readSources(['src', 'test'], '.ts').filter((source) => !source.path.startsWith('test/tidy/'));
    expect(differences([...new Set(named.flatMap((source) => invariantIdsIn(source.text)))], INVARIANTS, 'src and test')).toEqual(
      [],
    );
  });
});
