/** Draws ids of entities and messages: accepted ids with the form in which they arrive, and refused ids. */
import type { Stream } from '../sim-random.js';

export interface DrawnId {
  readonly id: unknown;
  /** The id as text; undefined if the id is refused. */
  readonly text?: string;
  /** A part of the refusal's text. */
  readonly why?: string;
}

/** Characters and the number of their UTF-8 bytes. */
const CHARACTERS: readonly (readonly [character: string, bytes: number])[] = [
  ['a', 1],
  ['%', 1],
  ['\u0000', 1],
  ['\n', 1],
  ['\u007f', 1],
  ['\u0080', 2],
  ['\u07ff', 2],
  ['\u0800', 3],
  ['\ud7ff', 3],
  ['\ue000', 3],
  ['\uffff', 3],
  ['\u{10000}', 4],
  ['\u{dbff}\u{dfff}', 4],
];
const BYTES_MAX = 1024;

/** Draws a text of exactly `bytes` UTF-8 bytes, mostly of one character. */
function ofBytes(stream: Stream, bytes: number): string {
  const [most, size] = stream.pick(CHARACTERS);
  const count = Math.floor(bytes / size);
  const rest = 'b'.repeat(bytes - count * size);
  return stream.chance(0.5) ? rest + most.repeat(count) : most.repeat(count) + rest;
}

const good = (id: unknown, text = String(id)): DrawnId => ({ id, text });

const GOOD: readonly ((stream: Stream) => DrawnId)[] = [
  (stream) => good(ofBytes(stream, BYTES_MAX)),
  (stream) => good(ofBytes(stream, stream.int(1, 40))),
  (stream) => good(stream.pick(['%', '%00', '%2e', 'a:b', ':', '%.x', '\u0000', '\u0001\u0002', ' ', '0'])),
  (stream) => good(stream.int(-1000, 1000)),
  () => good(-0, '0'),
  (stream) => good(stream.int(1, 99) / 8),
  (stream) => good(...decimal(stream)),
  () => good(1e21, '1000000000000000000000'),
  () => good(-2.5e-8, '-0.000000025'),
  () => good(12_345_678_901_234_567_890n, '12345678901234567890'),
];

/** Draws numbers that JavaScript writes with an exponent. They arrive without one. */
function decimal(stream: Stream): readonly [id: number, text: string] {
  const digits = stream.int(1, 9);
  const zeros = stream.int(7, 20);
  const sign = stream.pick(['', '-']);
  if (stream.chance(0.5)) return [Number(`${sign}${digits}e-${zeros}`), `${sign}0.${'0'.repeat(zeros - 1)}${digits}`];
  return [Number(`${sign}${digits}e21`), BigInt(Number(`${sign}${digits}e21`)).toString()];
}

const BAD: readonly ((stream: Stream) => DrawnId)[] = [
  () => ({ id: '', why: 'is empty' }),
  ...Array.from(
    { length: 4 },
    () =>
      (stream: Stream): DrawnId => ({ id: ofBytes(stream, BYTES_MAX + 1), why: 'is too long' }),
  ),
  (stream) => ({ id: ofBytes(stream, BYTES_MAX + stream.int(2, 2000)), why: 'is too long' }),
  () => ({ id: 10n ** 1024n, why: 'is too long' }),
  (stream) => ({ id: `${stream.pick(['', 'a'])}${stream.pick(['\ud800', '\udc00', '\udbffb'])}`, why: 'holds a lone surrogate' }),
  () => ({ id: Number.NaN, why: 'is NaN' }),
  () => ({ id: Number.POSITIVE_INFINITY, why: 'is Infinity' }),
  () => ({ id: null, why: 'is null' }),
  () => ({ id: {}, why: 'is a object' }),
  () => ({ id: true, why: 'is a boolean' }),
];

export const drawId = (stream: Stream): DrawnId => stream.pick(stream.chance(0.6) ? GOOD : BAD)(stream);

/** Draws an id that a caller may give to a message. Only text is accepted. */
export function drawMessageId(stream: Stream): DrawnId {
  const drawn = drawId(stream);
  return typeof drawn.id === 'string' ? drawn : { id: drawn.id, why: `is a ${typeof drawn.id}` };
}
