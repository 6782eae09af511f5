import { AtomicQueuesError } from '../core/errors.js';
import { isError } from '../core/is-error.js';
import type { JsonSchema } from '../core/json-schema.js';
import { recordError } from '../core/recorded-error.js';

/**
 * The part of the Standard Schema interface (standardschema.dev) that the library uses. zod, valibot and arktype implement it.
 */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: number;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult>;
    readonly jsonSchema?: { readonly input: ToJsonSchema; readonly output: ToJsonSchema } | undefined;
  };
}

export interface SchemaResult {
  readonly issues?: readonly SchemaIssue[] | undefined;
}

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type ToJsonSchema = (options: { readonly target: string }) => unknown;

export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard = (value as Partial<StandardSchema>)['~standard'];
  return typeof standard === 'object' && standard !== null && typeof standard.validate === 'function';
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

function pathText(path: SchemaIssue['path']): string {
  let text = '$';
  for (const part of path ?? []) {
    const key = typeof part === 'object' ? part.key : part;
    if (typeof key === 'number') text += `[${key}]`;
    else text += IDENTIFIER.test(String(key)) ? `.${String(key)}` : `[${JSON.stringify(String(key))}]`;
  }
  return text;
}

const ISSUES_SHOWN_MAX = 10;

/** Returns a SCHEMA_VIOLATION that lists the issues. */
function violation(what: string, issues: readonly SchemaIssue[], definite: boolean): AtomicQueuesError {
  const faults = issues.map(({ path, message }) => ({ path: pathText(path), message }));
  const shown = faults.slice(0, ISSUES_SHOWN_MAX).map(({ path, message }) => `${path}: ${message}`);
  const more = faults.length > shown.length ? `; and ${faults.length - shown.length} more` : '';
  return new AtomicQueuesError('SCHEMA_VIOLATION', `${what} does not match its schema: ${shown.join('; ')}${more}`, {
    definite,
    details: { path: faults[0]?.path ?? '$', issues: faults },
  });
}

const schemaThrew = (what: string, cause: unknown, definite: boolean): AtomicQueuesError =>
  new AtomicQueuesError(
    'SCHEMA_VIOLATION',
    `the schema of ${what} threw: ${isError(cause) ? String(cause) : recordError(cause).message}`,
    {
      definite,
      details: { path: '$' },
      cause,
    },
  );

/**
 * Checks `value` without changing it; transformations of the schema are ignored. Throws SCHEMA_VIOLATION. If the schema is
 * asynchronous, returns a promise that rejects with SCHEMA_VIOLATION instead.
 */
export function checkSchema(schema: StandardSchema, value: unknown, what: string, definite: boolean): undefined | Promise<void> {
  const judge = (result: SchemaResult): void => {
    let wrong: AtomicQueuesError | undefined;
    try {
      wrong = result.issues === undefined ? undefined : violation(what, result.issues, definite);
    } catch (cause) {
      // The schema returned a malformed result.
      wrong = schemaThrew(what, cause, definite);
    }
    if (wrong !== undefined) throw wrong;
  };
  let result: SchemaResult | Promise<SchemaResult>;
  try {
    result = schema['~standard'].validate(value);
  } catch (cause) {
    throw schemaThrew(what, cause, definite);
  }
  if (!(result instanceof Promise)) {
    judge(result);
    return undefined;
  }
  return result.then(judge, (cause: unknown) => {
    throw schemaThrew(what, cause, definite);
  });
}

/** Settles as `checking` does, or rejects with SCHEMA_VIOLATION after `limitMs`. Callers pass `enqueueTimeoutMs`. */
export async function checkedInTime(checking: Promise<void>, what: string, limitMs: number, definite: boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = `the schema of ${what} did not answer within enqueueTimeoutMs (${limitMs} ms)`;
    const error = (): AtomicQueuesError => new AtomicQueuesError('SCHEMA_VIOLATION', text, { definite, details: { path: '$' } });
    timer = setTimeout(() => reject(error()), limitMs);
  });
  await Promise.race([checking, late]).finally(() => clearTimeout(timer));
}

/** Returns true if the schema rejected the value, false if the schema threw or timed out. */
export const isVerdict = ({ details }: AtomicQueuesError): boolean => details.issues !== undefined;

/** Returns the schema as JSON Schema (draft 2020-12), or undefined if its library cannot convert it. */
export function jsonSchemaOf(schema: StandardSchema | undefined): JsonSchema | undefined {
  const convert = schema?.['~standard'].jsonSchema?.input ?? zodConverter(schema);
  if (convert === undefined) return undefined;
  try {
    return convert({ target: 'draft-2020-12' }) as JsonSchema;
  } catch {
    // JSON Schema cannot express this type. The schema is still checked, but not published.
    return undefined;
  }
}

/** Zod before 4.2 has no `jsonSchema` in its standard properties, but a `toJSONSchema` method on each schema. */
function zodConverter(schema: StandardSchema | undefined): ToJsonSchema | undefined {
  const toJsonSchema = (schema as { toJSONSchema?: unknown } | undefined)?.toJSONSchema;
  if (typeof toJsonSchema !== 'function') return undefined;
  return ({ target }) => (toJsonSchema as (options: object) => unknown).call(schema, { target, io: 'input' });
}
