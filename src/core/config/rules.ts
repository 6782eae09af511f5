/** Rules for the values of config fields, and the functions that build the table of fields. */
import { REDIS_URL_FORM, redisUrlFault } from '../redis-options.js';

export interface Rule<T> {
  readonly allowed: string;
  /** Never set. Its type is the type of the values that the rule accepts. */
  readonly type?: T;
  accepts(value: unknown): boolean;
  /** Returns what is wrong with a value that is not accepted, without any secret part of it. */
  readonly whyNot?: (value: unknown) => string;
}

/** Values of a field that are planned but not supported yet. */
export interface Later {
  readonly refuses: (value: unknown) => boolean;
  readonly allowedNow: string;
  readonly why: string;
}

/** One row of docs/config.md. */
export interface ConfigField {
  readonly path: string;
  readonly default: string;
  readonly unit: string;
  readonly allowed: string;
  readonly guidance: string;
}

export interface FieldSpec<T> {
  readonly rule: Rule<T>;
  readonly fallback: T;
  /** Text of the default for docs/config.md, where the default is not a plain value. */
  readonly fallbackText: string;
  readonly unit: string;
  readonly guidance: string;
  readonly secret: boolean;
  readonly later: Later | undefined;
}

interface FieldOptions {
  readonly unit?: string;
  readonly fallbackText?: string;
  readonly secret?: boolean;
  readonly later?: Later;
}

export function field<T>(rule: Rule<T>, fallback: T, guidance: string, options: FieldOptions = {}): FieldSpec<T> {
  return {
    rule,
    fallback,
    guidance,
    fallbackText: options.fallbackText ?? String(fallback),
    unit: options.unit ?? '-',
    secret: options.secret ?? false,
    later: options.later,
  };
}

/** Returns a field without a default. */
export function optionalField<T>(rule: Rule<T>, guidance: string, options: FieldOptions = {}): FieldSpec<T | undefined> {
  return field<T | undefined>(rule, undefined, guidance, { fallbackText: '-', ...options });
}

/** Longest delay of a JavaScript timer in ms. A timer with a longer delay fires at once. */
export const TIMER_MS_MAX = 2_147_483_647;

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Rule<number> {
  const allowed = max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  return { allowed, accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max };
}

export const BOOLEAN: Rule<boolean> = { allowed: 'true or false', accepts: (value) => typeof value === 'boolean' };

export function oneOf<const T extends string>(...values: readonly T[]): Rule<T> {
  const accepts = (value: unknown) => typeof value === 'string' && (values as readonly string[]).includes(value);
  return { allowed: values.map((value) => `'${value}'`).join(' or '), accepts };
}

export function text(pattern: RegExp, allowed: string): Rule<string> {
  return { allowed, accepts: (value) => typeof value === 'string' && pattern.test(value) };
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const NON_EMPTY = text(/^[\s\S]+$/, 'a string that is not empty');
export const NAME = text(/^[A-Za-z0-9_.:@/-]{1,128}$/, '1 to 128 of the characters A-Z a-z 0-9 _ . : @ / -');
const IPV6 = '[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\\w+)?';
export const HOST = text(
  new RegExp(`^(?:[^\\s/@:?#[\\]]+|${IPV6}|\\[${IPV6}\\])$`),
  'a host name or an IP address (a port belongs into `redis.port`, a URL into `redis.url`)',
);
export const REDIS_URL: Rule<string> = {
  allowed: REDIS_URL_FORM,
  accepts: (value) => typeof value === 'string' && redisUrlFault(value) === undefined,
  whyNot: (value) => (typeof value === 'string' ? (redisUrlFault(value) ?? '') : ''),
};
export const OPTIONS: Rule<Readonly<Record<string, unknown>>> = { allowed: 'an object of options of ioredis', accepts: isObject };
const PORT = '(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
export const ADDRESS = text(new RegExp(`^(?:[^\\s:/\\[\\]]+|\\[[0-9A-Fa-f:.]+\\]):${PORT}$`), "'host:port', or '[IPv6]:port'");
export const TLS_OPTIONS: Rule<boolean | object> = {
  allowed: 'true, false or an object of TLS options',
  accepts: (value) => typeof value === 'boolean' || isObject(value),
};
export const PEM: Rule<string | Uint8Array> = {
  allowed: 'PEM text or its bytes',
  accepts: (value) => (typeof value === 'string' && value !== '') || (value instanceof Uint8Array && value.length > 0),
};
export const ERROR_TEST: Rule<(error: unknown) => boolean> = {
  allowed: 'a function of the error that returns true or false',
  accepts: (value) => typeof value === 'function',
};
export const NOTHING_YET: Rule<unknown> = { allowed: 'nothing yet', accepts: () => true };
