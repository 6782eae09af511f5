/**
 * What a node reports to those who watch it: logs, metrics, the simulator's history. Called synchronously; must not throw. `id` is as in the
 * log: a log line shows the one that the caller gave (`unescapeId`).
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
  /** The network has begun, or ceased, to suspect a peer. */
  'peer-suspect': { readonly incarnation: number; readonly serverId: string; readonly isSuspect: boolean };
  /** The store has no room for what handlers sent: their entities stand still until it has. */
  'sends-wait': { readonly why: string };
  'sends-go-on': { readonly why: string };
  /** The network has said for some time that messages between nodes do not get through; calls to other nodes wait for sweeps. */
  'network-failing': { readonly why: string };
  'network-restored': Record<never, never>;
  unblocked: { readonly entity: string; readonly id: string };
  leading: { readonly epoch: number };
  rebuilt: { readonly epoch: number; readonly entities: number };
  'stepped-down': { readonly epoch: number };
  /** A master's command of that epoch came; it was carried out, or refused as older than one before. */
  commanded: { readonly epoch: number; readonly accepted: boolean };
  buried: { readonly incarnation: number; readonly owned: number };
  interrupted: { readonly entity: string; readonly id: string; readonly requeued: boolean };
  /** Services publish different schemas for one message. */
  'schema-conflict': { readonly message: string; readonly services: string; readonly wins: string };
  'dead-letter': {
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly reason: 'failed' | 'interrupted';
    /** The error with its stack, for people; left out where the handler ran elsewhere. */
    readonly error?: string;
  };
  /** A dead letter is past a limit of `deadLetters` and is deleted next. */
  'dropping-dead-letter': {
    readonly letter: string;
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly why: string;
  };
  /** An attempt failed, and there will be another one. */
  retrying: {
    readonly entity: string;
    readonly id: string;
    readonly name: string;
    readonly attempt: number;
    readonly delayMs: number;
    readonly error: string;
  };
  /** A listener of a handler's signal threw or rejected. The handler goes on. */
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
    /** Of a message that failed and left no dead letter. */
    readonly error?: string;
  };
  claimed: { readonly entity: string; readonly fence: number };
  released: { readonly entity: string };
  /** `running`: handlers that did not end within the grace; `pending`: messages that the log still holds. */
  stopped: { readonly running: number; readonly pending: number };
}

export interface Trace {
  /** True if somebody listens to the events of single messages (`accepted`, `began`, `ended`, `claimed`, `released`). */
  readonly verbose: boolean;
  emit<K extends keyof TraceEvents>(event: K, data: TraceEvents[K]): void;
}

/** Passes on what a node reports up to `stopped`, and nothing after it: what still ends in its process is no news of the node. */
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
