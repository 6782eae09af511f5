/** The append-only file in which a process records its part of a history. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import type { HistoryEvent } from '../sim/history.js';
import { hostMs } from './clock.js';

type Unstamped<T> = T extends HistoryEvent ? Omit<T, 'index' | 'atMs'> : never;
export type RecordedEvent = Unstamped<HistoryEvent>;

/** Appends each event with a single write, so that it survives the kill of its process. */
export class Recorder {
  readonly #fd: number;

  constructor(
    path: string,
    private readonly originMs: number,
  ) {
    this.#fd = openSync(path, 'a');
  }

  add(event: RecordedEvent): void {
    writeSync(this.#fd, `${JSON.stringify({ ...event, index: 0, atMs: hostMs() - this.originMs })}\n`);
  }
}

/** Returns the events of one process. A kill may have torn the last line; the event in it counts as not having happened. */
export function readRecord(path: string): HistoryEvent[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const torn = lines.pop() ?? '';
  const events = lines.map((line) => JSON.parse(line) as HistoryEvent);
  try {
    if (torn !== '') events.push(JSON.parse(torn) as HistoryEvent);
  } catch {
    // The line is torn: its event is dropped.
  }
  return events;
}
