/** What the campaign's processes write down outside of Redis: one file per process run, one JSON line per event. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Plan } from './plan.js';

/** `atUs`: CLOCK_MONOTONIC in microseconds, which all processes of a machine share. */
interface At {
  readonly atUs: number;
  /** The process run. */
  readonly run: number;
}

export interface Boot extends At {
  readonly kind: 'boot';
  readonly serverId: string;
}
export interface Ready extends At {
  readonly kind: 'ready';
}
/** The event loop of the process stood still. */
export interface Stall extends At {
  readonly kind: 'stall';
  readonly forMs: number;
}
/** A line that the library logged at level warn or error. */
export interface Logged extends At {
  readonly kind: 'logged';
  readonly level: 'warn' | 'error';
  readonly text: string;
}
/** A call is about to be made. */
export interface Invoke extends At {
  readonly kind: 'invoke';
  readonly call: string;
  readonly mode: 'enqueue' | 'bulk' | 'wait' | 'withdraw';
  /** The caller's id, undefined where the library makes one. */
  readonly id: string | undefined;
  readonly plan: Plan;
}
/** What the caller was told. A call without one is unknown. */
export interface Told extends At {
  readonly kind: 'told';
  readonly call: string;
  readonly verdict: 'receipt' | 'result' | 'error';
  /** Of a receipt. */
  readonly id?: string;
  /** Of a receipt. */
  readonly seq?: number;
  /** Of a result: the message that the handler says it handled. */
  readonly ref?: string;
  /** Of an error. */
  readonly code?: string;
  /** Of an error. */
  readonly definite?: boolean;
  /** Of an error. */
  readonly text?: string;
}
interface HandlerEvent extends At {
  readonly ref: string;
  readonly id: string;
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
  readonly fence: number;
}
export interface Start extends HandlerEvent {
  readonly kind: 'start';
}
export interface End extends HandlerEvent {
  readonly kind: 'end';
  /** 'fenced': the handlers' own store refused what it wrote, since the entity has a newer owner. */
  readonly how: 'ok' | 'threw' | 'fenced';
}
/** The process is gone. `killed`: by us, as planned. */
export interface Exit extends At {
  readonly kind: 'exit';
  readonly killed: boolean;
  readonly code: number | null;
}

export type RecordEvent = Boot | Ready | Stall | Logged | Invoke | Told | Start | End | Exit;

type Body<E> = E extends RecordEvent ? Omit<E, 'atUs' | 'run'> : never;
export type EventBody = Body<RecordEvent>;

export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Appends events by single writes: what was written survives the kill of its process, only the power must stay on. */
export class RecordWriter {
  readonly #fd: number;

  constructor(
    path: string,
    readonly run: number,
  ) {
    this.#fd = openSync(path, 'a');
  }

  write(event: EventBody): void {
    writeSync(this.#fd, `${JSON.stringify({ atUs: nowUs(), run: this.run, ...event })}\n`);
  }

  /** Ends a line that another process may have left torn. */
  breakLine(): void {
    writeSync(this.#fd, '\n');
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The events of one file. A line may be torn where the process was killed while it wrote: what it tells did not happen. */
export function readRecord(path: string): RecordEvent[] {
  const events: RecordEvent[] = [];
  const lines = readFileSync(path, 'utf8').split('\n');
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    try {
      events.push(JSON.parse(line) as RecordEvent);
    } catch (cause) {
      // Only the kill tears a line, and only the last one of the process; what follows is its exit.
      if (lines.slice(index + 1).filter((later) => later !== '').length > 1)
        throw new Error(`${path}:${index + 1} is no event`, { cause });
    }
  }
  return events;
}

export const recordPath = (dir: string, run: number): string => `${dir}/run-${String(run).padStart(4, '0')}.jsonl`;
