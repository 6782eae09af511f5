/** Options of the commands, checked before any call to Redis. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { entityIdOf, ID_BYTES_MAX, isEntityTypeName } from '../core/ids.js';
import { REDIS_URL_FORM, redisUrlFault } from '../core/redis-options.js';
import type { Target, TlsFiles } from './connect.js';
import { UsageError } from './terminal.js';

export interface CommonOptions {
  readonly redis?: string;
  readonly prefix?: string;
  readonly json?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

const URL_DEFAULT = 'redis://localhost:6379';

export const COMMON: readonly Option[] = [
  new Option('--redis <url>', `where Redis is (else AQ_REDIS_URL, REDIS_URL, ${URL_DEFAULT})`),
  new Option('--prefix <prefix>', 'keyPrefix of the application (else AQ_PREFIX, aq)'),
  new Option('--tls-ca <file>', 'TLS: PEM of the authority that signed the certificate of Redis'),
  new Option('--tls-cert <file>', 'TLS: PEM of the certificate of this client; needs --tls-key'),
  new Option('--tls-key <file>', 'TLS: PEM of its private key'),
  new Option('--json', 'one line of JSON on standard output'),
];

export function targetOf({ redis, prefix, ...options }: CommonOptions, env: NodeJS.ProcessEnv): Target {
  // An empty --redis usually comes from an unset variable. Falling back to the next source would use another Redis.
  if (redis === '') throw new UsageError('--redis is empty');
  const given: readonly (readonly [string, string | undefined])[] = [
    ['--redis', redis],
    ['AQ_REDIS_URL', env.AQ_REDIS_URL],
    ['REDIS_URL', env.REDIS_URL],
  ];
  const [source, url = URL_DEFAULT] = given.find(([, value]) => value !== undefined && value !== '') ?? ['the default'];
  const fault = redisUrlFault(url);
  if (fault !== undefined) throw new UsageError(`${source} is no URL of a Redis: ${fault}; allowed: ${REDIS_URL_FORM}`);
  if (prefix === '') throw new UsageError('--prefix is empty');
  const tls = tlsOf(options);
  return { url, prefix: prefix ?? (env.AQ_PREFIX || 'aq'), ...(tls !== undefined && { tls }) };
}

function tlsOf({ tlsCa, tlsCert, tlsKey }: CommonOptions): TlsFiles | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new UsageError('--tls-cert and --tls-key go together');
  const files = { ca: fileOf('--tls-ca', tlsCa), cert: fileOf('--tls-cert', tlsCert), key: fileOf('--tls-key', tlsKey) };
  const given = Object.fromEntries(Object.entries(files).filter(([, content]) => content !== undefined));
  return Object.keys(given).length === 0 ? undefined : given;
}

function fileOf(option: string, path: string | undefined): Buffer | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

/** Returns a parser for commander that accepts whole numbers from `min` to `max`. */
export const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw new InvalidArgumentError(`Allowed: ${min} to ${max}.`);
    return value;
  };

export function typeName(text: string): string {
  if (!isEntityTypeName(text)) throw new InvalidArgumentError('Allowed: letters, digits, "_", "." and "-".');
  return text;
}

export const typeNames = (text: string): readonly string[] => text.split(',').map((type) => typeName(type.trim()));

export function entityId(text: string): string {
  try {
    return entityIdOf(text, '--entity');
  } catch {
    throw new InvalidArgumentError(`Allowed: well-formed text of 1 to ${ID_BYTES_MAX} UTF-8 bytes.`);
  }
}

export function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time: absolute in ms since 1970, or relative in ms ago. */
export interface Since {
  readonly atMs?: number;
  readonly agoMs?: number;
}

export function since(text: string): Since {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (unit !== undefined) return { agoMs: Number(count) * (UNITS_MS[unit] ?? 0) };
  // Date.parse also accepts text that is no sensible time, such as "1".
  const atMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    throw new InvalidArgumentError('Allowed: a time like 2026-01-31T12:00:00Z, or how long ago like 90s, 30m, 2h, 7d.');
  return { atMs };
}
