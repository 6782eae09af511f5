/**
 * Runs with thin links to the store: large payloads, results and sends, each of which crosses well within one call, and bursts of
 * them that do not fit into one call together. They are drawn from their own stream.
 */

import type { Job } from './job.js';
import type { LinkPlan, MessagePlan, Plan, Settings } from './plan.js';
import type { RunFacts } from './run-facts.js';
import { Stream } from './sim-random.js';

/** Share of the seeds that have faults. */
const THIN_SHARE = 0.045;
/** Share of those seeds in which all faults are removed, so that only the thin link remains. */
const ALONE_SHARE = 0.4;
const KB = 1024;
/** Characters of the largest text. A batch of 64 KiB is never too large, so the link carries such a batch too. */
const LARGEST = { low: 24 * KB, high: 96 * KB };
const BATCH_MIN = 64 * KB;
/**
 * How many of the largest texts, or of the smallest batches, cross in the time of one call. Two batches are in flight, and others
 * wait.
 */
const IN_A_CALL = { low: 4, high: 8 };
/** The texts of a run take at most this share of the time in which messages are sent, on the link of one process. */
const BUSY_SHARE = 0.5;
const CHARS_MAX = 8 * KB * KB;
/** Number of messages of a burst. If they are large, a burst has at least one batch that does not cross in one call. */
const BURST = { low: 20, high: 60 };

/** Gives some seeds a thin link. Returns all others as they are. */
export function withThinLink(plan: Plan): Plan {
  const chance = new Stream(plan.seed, 'bandwidth');
  if (!chance.chance(THIN_SHARE) || plan.isCalm === true) return plan;
  const { storeCallTimeoutMs } = plan.settings;
  const isAlone = chance.chance(ALONE_SHARE);
  const largest = chance.logBetween(LARGEST.low, LARGEST.high);
  const bytesPerMs = (Math.max(BATCH_MIN, largest) * chance.between(IN_A_CALL.low, IN_A_CALL.high)) / storeCallTimeoutMs;
  const sentMs = Math.max(1, ...plan.messages.map(({ atMs }) => atMs));
  const texts = new Texts(chance, largest, Math.min(CHARS_MAX, bytesPerMs * sentMs * BUSY_SHARE));
  const names = plan.nodes.map(({ name }) => name);
  const messages = texts.draw(plan.messages, names);
  const link: LinkPlan = {
    bytesPerMs,
    busyMs: Math.round((2 * texts.chars) / bytesPerMs),
    ...(isAlone ? { isAlone } : {}),
  };
  return { ...plan, messages, link, ...(isAlone ? { faults: [], gone: [] } : {}) };
}

class Texts {
  /** Characters of all texts so far. */
  chars = 0;

  constructor(
    private readonly chance: Stream,
    private readonly largest: number,
    private readonly charsMax: number,
  ) {}

  draw(messages: readonly MessagePlan[], nodes: readonly string[]): MessagePlan[] {
    const { chance } = this;
    const drawn = [...messages];
    for (let bursts = chance.int(1, 4); bursts > 0; bursts--) this.burst(drawn, chance.pick(nodes));
    const share = chance.pick([0, 0.1, 0.3]);
    const shareOfResults = chance.pick([0, 0.1, 0.3]);
    const padded = drawn.map((message) => ({ ...message, job: this.job(message.job, share, shareOfResults) }));
    return padded.sort((a, b) => a.atMs - b.atMs);
  }

  /**
   * Makes many messages leave one node at once, all with a large payload, or all with handlers that end at about the same time
   * with a large result.
   */
  private burst(messages: MessagePlan[], node: string): void {
    const { chance } = this;
    const { atMs } = chance.pick(messages);
    const ofResults = chance.chance(0.3);
    for (let left = chance.int(BURST.low, BURST.high); left > 0; left--) {
      const i = chance.int(0, messages.length - 1);
      const message = messages[i] as MessagePlan;
      const chars = this.take(chance.between(0.6, 1) * this.largest);
      if (chars === 0 || message.job.pad !== undefined || message.job.padResult !== undefined) continue;
      const more = ofResults ? { padResult: chars, ms: 20 } : { pad: chars };
      messages[i] = { ...message, node, atMs, job: { ...message.job, ...more } };
    }
  }

  private job(job: Job, share: number, shareOfResults: number): Job {
    const { chance } = this;
    const { sends = [] } = job;
    // The result and the sends of a handler cross together.
    const most = this.largest / (sends.length + 1);
    const chars = (of: number): number => (chance.chance(of) ? this.take(chance.logBetween(KB, most)) : 0);
    const pad = job.pad ?? chars(share);
    const padResult = Math.min(job.padResult ?? chars(shareOfResults), Math.floor(most));
    const padded = sends.map((send) => {
      const padOfSend = chars(share);
      return padOfSend === 0 ? send : { ...send, job: { ...send.job, pad: padOfSend } };
    });
    return {
      ...job,
      ...(pad > 0 ? { pad } : {}),
      ...(padResult > 0 ? { padResult } : {}),
      ...(sends.length > 0 ? { sends: padded } : {}),
    };
  }

  /** Returns the wanted number of characters, or 0 if they would exceed the limit of the run. */
  private take(wanted: number): number {
    const chars = Math.floor(wanted);
    if (this.chars + chars > this.charsMax) return 0;
    this.chars += chars;
    return chars;
  }
}

/**
 * Returns the facts for a run with thin links. Work that waits for the link gets more time, and so do some calls that the link
 * makes fail.
 */
export function thinFacts(facts: RunFacts, { storeCallTimeoutMs }: Settings, { busyMs, isAlone }: LinkPlan): RunFacts {
  return {
    ...facts,
    settleMs: facts.settleMs + busyMs + 20 * storeCallTimeoutMs,
    independentMs: facts.independentMs + 4 * storeCallTimeoutMs,
    ...(isAlone === true && { keepsLeases: true }),
  };
}
