import { type Frame, readFrame, writeFrame } from './cluster.gen.js';
import { Reader, WireError, Writer } from './wire.js';

/** Encodes a frame. Throws WireError for a number that the wire cannot carry. */
export function encodeFrame(frame: Frame, bytesExpected = 0): Buffer {
  const writer = new Writer(bytesExpected);
  writeFrame(writer, frame);
  return writer.finish();
}

/** Returns undefined for bytes that are not a frame of this version. Never throws. */
export const decodeFrame = (bytes: Buffer): Frame | undefined => decode(bytes, readFrame);

/** Returns undefined for bytes that are not a message of this kind. Throws no WireError. */
export function decode<T>(bytes: Buffer, read: (reader: Reader, end: number) => T): T | undefined {
  try {
    const reader = new Reader(bytes);
    return read(reader, reader.length);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
