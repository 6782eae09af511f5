/**
 * The events that a node reports to its observers: logs, metrics, the simulator's history. Called synchronously; must not throw.
 * `id` is the id in the log, which is escaped. A log line shows the id that the caller gave (`unescapeId`).
 */
export interface TraceEvents {
  joined: { readonly incarnation: number; readonly serverId: string };
  'lease-lost': { readonly incarnation: number; readonly why: string };
  suspended: { readonly incarnation: number };
  resumed: { readonly incarnation: number };
  degraded: { readonly why: string };
  recovered: Record<never, never>;
  'store-lost': { readonly why: string };
  blocked: { readonly entity: string; readonly id: string; readonly name: string; readonly forMs: number };
  /** The network began, or ceased, to suspect a peer. */
  'peer-suspect': { readonly incarnation: number; readonly serverId: string; readonly isSuspect: boolean };
  /** The store has no room for messages that handlers sent. Their entities wait until it has. */
  'sends-wait': { readonly why: string };
  'sends-go-on': { readonly why: string };
  /** The network has reported for some time that messages between nodes get lost. Calls to other nodes wait for sweeps. */
  'network-failing': { readonly why: string };
  'network-restored': Record<never, never>;
  unblocked: { readonly entity: string; readonly id: string };
  leading: { readonly epoch: number };
  rebuilt: { readonly epoch: number; readonly entities: number };
  'stepped-down': { readonly epoch: number };
  /** A command of a master with that epoch came. `accepted` is false if the command is older than one before. */
  commanded: { readonly epoch: number; readonly accepted: boolean };
  buried: { readonly incarnation: number; readonly owned: number };
  interrupted: { readonly entity: string; readonly id: string; readonly requeued: boolean };
  /** Services published different schemas for one message. */
  'schema-conflict': { readonly message: string; readonly services: string; readonly wins: string };
  'dead-letter': {
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly reason: 'failed' | 'interrupted';
    /** The error with its stack, for people. Left out if the handler ran on another node. */
    readonly error?: string;
  };
  /** A dead letter exceeds a limit of `deadLetters` and is deleted next. */
  'dropping-dead-letter': {
    readonly letter: string;
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly why: string;
  };
  /** An attempt failed, and another one follows. */
  retrying: {
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly attempt: number;
    readonly delayMs: number;
    readonly error: string;
  };
  /** A listener of a handler's abort signal threw or rejected. The handler continues. */
  'abort-listener-failed': { readonly entity: string; readonly id: string; readonly name: string; readonly error: unknown };
  'loop-failed': { readonly loop: string; readonly error: unknown };
  accepted: { readonly entity: string; readonly id: string; readonly name: string; readonly seq: number };
  began: { readonly entity: string; readonly id: string; readonly name: string; readonly seq: number; readonly attempt: number };
  ended: {
    readonly entity: string;
    readonly id: string;
    readonly seq: number;
    readonly attempt: number;
    readonly state: string;
    /** The error, if the message failed and left no dead letter. */
    readonly error?: string;
  };
  claimed: { readonly entity: string; readonly fence: number };
  released: { readonly entity: string };
  /** `running`: number of handlers that did not end within the grace period. `pending`: number of messages still in the log. */
  stopped: { readonly running: number; readonly pending: number };
}

export interface Trace {
  /** True if an observer wants the events of single messages (`accepted`, `began`, `ended`, `claimed`, `released`). */
  readonly verbose: boolean;
  emit<K extends keyof TraceEvents>(event: K, data: TraceEvents[K]): void;
}

/** Returns a trace that passes on all events up to `stopped`. It drops later ones: they are no longer about the node. */
export function untilStopped(trace: Trace): Trace {
  let hasStopped = false;
  return {
    verbose: trace.verbose,
    emit(event, data) {
      if (hasStopped) return;
      hasStopped = event === 'stopped';
      trace.emit(event, data);
    },
  };
}
