/**
 * The protobuf encoding, as far as cluster.gen.ts needs it. The writer fills its buffer from the end to the start, so that each
 * length is known when it is written: one pass, canonical bytes. The reader trusts no input: it always ends with a message or a
 * WireError.
 */

/** Thrown for bytes that are not a message of the expected kind, and for numbers that cannot be encoded. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const BYTES_MIN = 256;
/** Length up to which a loop is faster than the call into the runtime, in characters. */
const SHORT_TEXT = 24;
const UINT32 = 2 ** 32;

export class Writer {
  #bytes: Buffer;
  /** Index of the last byte written; the next one goes before it. */
  #at: number;

  constructor(bytesExpected: number) {
    this.#bytes = Buffer.allocUnsafe(Math.max(BYTES_MIN, bytesExpected));
    this.#at = this.#bytes.length;
  }

  /** Returns the written bytes; the writer must not be used after that. */
  finish(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  /** Number of bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  uint(tag: number, value: number): void {
    this.#varint(value);
    this.#varint(tag);
  }

  bool(tag: number, value: boolean): void {
    this.#varint(value ? 1 : 0);
    this.#varint(tag);
  }

  double(tag: number, value: number): void {
    this.#room(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at - 8) - 8;
    this.#varint(tag);
  }

  string(tag: number, text: string): void {
    const bytes = this.#text(text);
    this.#varint(bytes);
    this.#varint(tag);
  }

  /** Writes the length and tag of a nested message. `start`: `length` before its fields were written. */
  close(tag: number, start: number): void {
    this.#varint(this.length - start);
    this.#varint(tag);
  }

  #text(text: string): number {
    const { length } = text;
    if (length <= SHORT_TEXT) {
      this.#room(length);
      const bytes = this.#bytes;
      let i = length;
      let at = this.#at;
      for (; i > 0; i--) {
        const c = text.charCodeAt(i - 1);
        if (c >= 0x80) break;
        bytes[--at] = c;
      }
      if (i === 0) {
        this.#at = at;
        return length;
      }
    }
    const size = Buffer.byteLength(text);
    this.#room(size);
    this.#at -= size;
    // latin1 is a plain copy if each character is one byte.
    this.#bytes.write(text, this.#at, size, size === length ? 'latin1' : 'utf8');
    return size;
  }

  #varint(value: number): void {
    if (value < 0x80 && value >= 0 && (value | 0) === value) {
      this.#room(1);
      this.#bytes[--this.#at] = value;
      return;
    }
    if (!Number.isSafeInteger(value) || value < 0) throw new WireError(`${value} is no whole number from 0 to 2^53 - 1`);
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.#room(size);
    this.#at -= size;
    let at = this.#at;
    for (; value >= 0x80; value = Math.floor(value / 0x80)) this.#bytes[at++] = (value % 0x80) | 0x80;
    this.#bytes[at] = value;
  }

  #room(bytes: number): void {
    if (this.#at >= bytes) return;
    const written = this.length;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, written + bytes));
    this.#bytes.copy(grown, grown.length - written, this.#at);
    this.#bytes = grown;
    this.#at = grown.length - written;
  }
}

export class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  tag(): number {
    const tag = this.uint();
    if (tag < 8 || tag >= UINT32) throw new WireError(`no field has the tag ${tag}`);
    return tag;
  }

  uint(): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let scale = 1; scale < 2 ** 63; scale *= 0x80) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw new WireError('it ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new WireError('a number is larger than 2^53 - 1');
        return value;
      }
    }
    throw new WireError('a number has too many bytes');
  }

  bool(): boolean {
    return this.uint() !== 0;
  }

  double(): number {
    this.#skipBytes(8);
    return this.#bytes.readDoubleLE(this.at - 8);
  }

  string(): string {
    const size = this.uint();
    const start = this.at;
    this.#skipBytes(size);
    return this.#bytes.toString('utf8', start, this.at);
  }

  /** Reads the length of the message that starts here; returns the index of its end. */
  end(): number {
    const size = this.uint();
    if (size > this.#bytes.length - this.at) throw new WireError('it ends within a message');
    return this.at + size;
  }

  /** Throws unless the message ended where its length said. */
  ended(end: number): void {
    if (this.at !== end) throw new WireError('a message does not end where its length says');
  }

  skip(tag: number): void {
    switch (tag % 8) {
      case 0:
        this.#skipVarint();
        return;
      case 1:
        this.#skipBytes(8);
        return;
      case 2:
        this.#skipBytes(this.uint());
        return;
      case 5:
        this.#skipBytes(4);
        return;
      default:
        throw new WireError(`no value is coded as ${tag % 8}`);
    }
  }

  /** Skips a number, which may be any of 64 bits. */
  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new WireError('it ends within a number');
      if (byte < 0x80) return;
    }
    throw new WireError('a number has too many bytes');
  }

  #skipBytes(count: number): void {
    if (count > this.#bytes.length - this.at) throw new WireError('it ends within a value');
    this.at += count;
  }
}
