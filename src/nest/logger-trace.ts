import { unescapeId } from '../core/ids.js';
import { linesOfThrown } from '../core/recorded-error.js';
import type { Trace, TraceEvents } from '../ports/trace.js';

/** The part of Nest's Logger that the library uses. */
export interface EventLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  debug(message: string): void;
}

const LEVELS: Readonly<Record<keyof TraceEvents, keyof EventLogger>> = {
  joined: 'debug',
  'lease-lost': 'warn',
  suspended: 'warn',
  resumed: 'log',
  degraded: 'warn',
  recovered: 'log',
  'store-lost': 'error',
  blocked: 'warn',
  unblocked: 'log',
  'sends-wait': 'warn',
  'sends-go-on': 'log',
  'peer-suspect': 'warn',
  'network-failing': 'warn',
  'network-restored': 'log',
  leading: 'log',
  rebuilt: 'debug',
  'stepped-down': 'log',
  commanded: 'debug',
  buried: 'log',
  interrupted: 'warn',
  'dead-letter': 'warn',
  'dropping-dead-letter': 'warn',
  retrying: 'warn',
  'schema-conflict': 'warn',
  'abort-listener-failed': 'error',
  'loop-failed': 'error',
  accepted: 'debug',
  began: 'debug',
  ended: 'debug',
  claimed: 'debug',
  released: 'debug',
  stopped: 'log',
};

/** Returns a logger that never throws. A broken log transport must lose only its lines, and not stop an entity. */
export function faultless(logger: EventLogger): EventLogger {
  const guarded = (level: keyof EventLogger) => (message: string) => {
    try {
      logger[level](message);
    } catch {
      // The logger itself failed, so the error cannot be logged.
    }
  };
  return { log: guarded('log'), warn: guarded('warn'), error: guarded('error'), debug: guarded('debug') };
}

/** Writes the runtime's events as lines of Nest's Logger. */
export class LoggerTrace implements Trace {
  readonly verbose: boolean;
  readonly #logger: EventLogger;
  readonly #onDeadLetter: (event: TraceEvents['dead-letter']) => void;

  constructor(logger: EventLogger, verbose: boolean, onDeadLetter: (event: TraceEvents['dead-letter']) => void) {
    this.#logger = logger;
    this.verbose = verbose;
    this.#onDeadLetter = onDeadLetter;
  }

  emit<K extends keyof TraceEvents>(event: K, data: TraceEvents[K]): void {
    const level = LEVELS[event];
    if (level === 'debug' && !this.verbose) return;
    this.#logger[level](`${event}${textOf(data)}`);
    if (event === 'dead-letter') this.#onDeadLetter(data as TraceEvents['dead-letter']);
  }
}

function textOf(data: object): string {
  let text = '';
  for (const [field, value] of Object.entries(data))
    text += ` ${field}=${field === 'id' ? unescapeId(String(value)) : valueText(value)}`;
  return text;
}

function valueText(value: unknown): string {
  return typeof value === 'object' && value !== null ? linesOfThrown(value) : String(value);
}
