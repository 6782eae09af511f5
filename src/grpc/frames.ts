import { type Frame, readFrame, writeFrame } from './cluster.gen.js';
import { Reader, WireError, Writer } from './wire.js';

/** Throws WireError for a number that the wire cannot carry. */
export function encodeFrame(frame: Frame, bytesExpected = 0): Buffer {
  const writer = new Writer(bytesExpected);
  writeFrame(writer, frame);
  return writer.finish();
}

/** Undefined for what is no frame, or none that this version knows. Never throws. */
export const decodeFrame = (bytes: Buffer): Frame | undefined => decode(bytes, readFrame);

/** Undefined for what is no such message. Never throws. */
export function decode<T>(bytes: Buffer, read: (reader: Reader, end: number) => T): T | undefined {
  try {
    const reader = new Reader(bytes);
    return read(reader, reader.length);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
