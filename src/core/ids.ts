import { AtomicQueuesError } from './errors.js';

/** Maximum length of an entity id and of a caller's message id, in UTF-8 bytes. */
export const ID_BYTES_MAX = 1024;

const TYPE_PATTERN = /^[A-Za-z0-9_.-]{1,128}$/;
const MESSAGE_NAME_PATTERN = /^[A-Za-z0-9_$.:/-]{1,128}$/;
// Control characters separate fields on the wire, so keys carry them escaped. "%" is escaped too, to keep escapes unambiguous.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are the point
const UNSAFE = /[\x00-\x1f\x7f%]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are the point
const UNSAFE_ALL = /[\x00-\x1f\x7f%]/g;

const escapeChar = (c: string): string => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`;

/** Escapes an id so that it is safe between the separators of keys and wire records. `unescapeId` restores the id exactly. */
export const escapeId = (id: string): string => (UNSAFE.test(id) ? id.replace(UNSAFE_ALL, escapeChar) : id);

/**
 * Ids that the library generates start with GENERATED. Ids of transactional sends end with SENT and a number. `escapeId` returns
 * neither form, so no id of a caller can be mistaken for a generated one.
 */
export const GENERATED = '%.';
export const SENT = '%/';

export const unescapeId = (id: string): string =>
  id.includes('%') ? id.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) : id;

export const isEntityTypeName = (type: unknown): type is string => typeof type === 'string' && TYPE_PATTERN.test(type);

/** Checks a message name that was given explicitly. The name of a class may be any identifier. */
export const isMessageName = (name: unknown): name is string => typeof name === 'string' && MESSAGE_NAME_PATTERN.test(name);

/** Returns the length of `text` in UTF-8 bytes. A lone surrogate counts 3, as the replacement character that encoders write. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    if (c < 0x800) bytes += 1;
    else if (c >= 0xd800 && c < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/** Returns whether `text` has more than `bytesMax` UTF-8 bytes. Scans the characters only if the length does not decide. */
export const exceedsUtf8Bytes = (text: string, bytesMax: number): boolean =>
  text.length > bytesMax || (text.length * 3 > bytesMax && utf8Bytes(text) > bytesMax);

function checkId(what: string, where: string, id: string): void {
  let why: string;
  if (id === '') why = 'is empty';
  else if (exceedsUtf8Bytes(id, ID_BYTES_MAX)) why = 'is too long';
  else if (!id.isWellFormed()) why = 'holds a lone surrogate';
  else return;
  throw new AtomicQueuesError(
    'INVALID_ENTITY_ID',
    `${what}${where} ${why}; allowed: a well-formed string of 1 to ${ID_BYTES_MAX} UTF-8 bytes`,
    { details: { length: id.length } },
  );
}

/** Returns the one string form of the entity id that a caller gave. Throws INVALID_ENTITY_ID. */
export function entityIdOf(value: unknown, where: string): string {
  if (typeof value === 'string') {
    checkId('entity id of ', where, value);
    return value;
  }
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) {
    const id = decimal(value);
    checkId('entity id of ', where, id);
    return id;
  }
  const got = value === undefined ? 'is missing' : `is ${value === null ? 'null' : `a ${typeof value}`}`;
  throw new AtomicQueuesError(
    'INVALID_ENTITY_ID',
    `entity id of ${where} ${typeof value === 'number' ? `is ${value}` : got}; allowed: string, finite number or bigint`,
  );
}

/** Returns the exact decimal form without an exponent, so that two numbers never share an id. */
function decimal(value: number | bigint): string {
  if (typeof value === 'bigint') return value.toString();
  if (Object.is(value, -0)) return '0';
  const text = String(value);
  const e = text.indexOf('e');
  if (e === -1) return text;
  if (Math.abs(value) >= 1) return BigInt(value).toString();
  const [sign, digits] = value < 0 ? ['-', text.slice(1, e)] : ['', text.slice(0, e)];
  return `${sign}0.${'0'.repeat(-Number(text.slice(e + 1)) - 1)}${digits.replace('.', '')}`;
}

/** Checks a caller's idempotency id. Throws INVALID_ENTITY_ID. */
export function messageIdOf(id: unknown): string {
  if (typeof id !== 'string') throw new AtomicQueuesError('INVALID_ENTITY_ID', `message id is a ${typeof id}; allowed: a string`);
  checkId('message id', '', id);
  return id;
}

/** Returns the key that names an entity in the store, in logs and in tables. A type has no ":", so the first ":" ends it. */
export const entityKeyOf = (type: string, id: string): string => `${type}:${escapeId(id)}`;

export const typeOfKey = (key: string): string => key.slice(0, key.indexOf(':'));

export const idOfKey = (key: string): string => unescapeId(key.slice(key.indexOf(':') + 1));

/**
 * Returns a 64-bit digest of name and payload. It detects an id that is used again with another payload; it is no defence against
 * forgery. Uses two 32-bit lanes of multiply-xor mixing, similar to MurmurHash3's finalizer.
 */
export function digestOf(name: string, payload: string): string {
  let a = 0x9e3779b9 ^ name.length;
  let b = 0x85ebca6b ^ payload.length;
  for (let part = 0; part < 2; part++) {
    const text = part === 0 ? name : payload;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      a = Math.imul(a ^ c, 2654435761);
      b = Math.imul(b ^ c, 1597334677);
      b ^= b >>> 15;
    }
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
}
