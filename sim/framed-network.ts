/**
 * A network that gathers hints per target and sends them in frames, as the adapters do. It keeps a plain list per target in
 * parallel, and compares each step of the outbox with these lists.
 */
import { Outbox, type OutboxLimits } from '../src/core/outbox.js';
import type { Clock, Timer } from '../src/ports/clock.js';
import type { ClusterSnapshot, Network, PeerMessage } from '../src/ports/network.js';

export interface FrameFacts {
  readonly limits: OutboxLimits;
  /** Descriptions of what an outbox did that the lists do not explain. */
  readonly faults: string[];
  frames: number;
  /** Number of frames that hold as many items, or nearly as many bytes, as the limits allow. */
  full: number;
  dropped: number;
}

const FLUSH_MS = 2;
/** The link to the target breaks before every seventh hint. */
const BREAK_EVERY = 7;

export class FramedNetwork implements Network {
  private readonly outbox: Outbox<string>;
  private readonly lists = new Map<number, string[]>();
  private dropped = 0;
  private sent = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly inner: Network,
    private readonly clock: Clock,
    private readonly facts: FrameFacts,
  ) {
    this.outbox = new Outbox<string>(facts.limits, (text) => text.length);
  }

  send(to: number, message: PeerMessage): void {
    if (++this.sent % BREAK_EVERY === 0) this.breakLink(to);
    const text = JSON.stringify(message);
    const isFull = this.outbox.push(to, text);
    if (isFull !== this.listed(to, text)) this.fault(`says that the frame for ${to} is ${isFull ? '' : 'not '}full`);
    this.compare();
    if (isFull) this.leave(to);
    else if (this.lists.size > 0) this.timer ??= this.clock.setTimer(FLUSH_MS, () => this.flush());
  }

  /** Adds the text to the list of its target. Returns whether a frame is full. */
  private listed(to: number, text: string): boolean {
    const { frameItemsMax, frameBytesMax, targetItemsMax, targetBytesMax, totalBytesMax } = this.facts.limits;
    const total = bytesOf([...this.lists.values()].flat());
    if (text.length > targetBytesMax || total + text.length > totalBytesMax) {
      this.drop();
      return false;
    }
    const list = this.lists.get(to) ?? [];
    this.lists.set(to, list);
    list.push(text);
    while (list.length > targetItemsMax || bytesOf(list) > targetBytesMax) {
      list.shift();
      this.drop();
    }
    return list.length >= frameItemsMax || bytesOf(list) >= frameBytesMax;
  }

  private drop(): void {
    this.dropped++;
    this.facts.dropped++;
  }

  private flush(): void {
    this.timer = undefined;
    for (let [next] = this.lists.keys(); next !== undefined; [next] = this.lists.keys()) this.leave(next, true);
    if (this.outbox.take() !== undefined) this.fault('holds something when all has left');
  }

  /** Sends one frame: the next in turn, or that of a target with a full frame. */
  private leave(to: number, isInTurn = false): void {
    const { limits } = this.facts;
    const list = this.lists.get(to) ?? [];
    let count = 1;
    while (count < Math.min(list.length, limits.frameItemsMax) && bytesOf(list.slice(0, count + 1)) <= limits.frameBytesMax)
      count++;
    const texts = list.splice(0, count);
    // Moves the target behind all others that wait.
    this.lists.delete(to);
    if (list.length > 0) this.lists.set(to, list);
    const frame = isInTurn ? this.outbox.take() : this.outbox.takeFor(to);
    const isWell = frame?.to === to && frame.bytes === bytesOf(texts) && frame.items.join() === texts.join();
    if (!isWell) this.fault(`lets ${frame?.items.length} items leave for ${frame?.to}, and not ${texts.length} for ${to}`);
    this.facts.frames++;
    if (list.length > 0) this.facts.full++;
    for (const item of frame?.items ?? []) this.inner.send(to, JSON.parse(item) as PeerMessage);
    this.compare();
  }

  private compare(): void {
    const { outbox, lists } = this;
    if (outbox.targets().join() !== [...lists.keys()].join()) this.fault(`has the targets ${outbox.targets().join()}`);
    for (const [to, list] of lists) if (outbox.oldest(to) !== list[0]) this.fault(`has another oldest item for ${to}`);
    if (outbox.dropped !== this.dropped) this.fault(`has dropped ${outbox.dropped}, and not ${this.dropped}`);
  }

  private fault(what: string): void {
    this.facts.faults.push(`the outbox ${what}`);
  }

  /** Breaks the link to the target: the items that wait for it are dropped. */
  private breakLink(to: number): void {
    const waiting = this.lists.get(to)?.length ?? 0;
    this.dropped += waiting;
    this.facts.dropped += waiting;
    this.lists.delete(to);
    this.outbox.drop(to);
    this.compare();
  }

  listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void {
    this.inner.listen(incarnation, receive);
  }

  update(snapshot: ClusterSnapshot): void {
    this.inner.update?.(snapshot);
  }

  close(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    this.dropped += [...this.lists.values()].flat().length;
    this.lists.clear();
    this.outbox.clear();
    this.compare();
    return this.inner.close();
  }
}

const bytesOf = (texts: readonly string[]): number => texts.reduce((sum, { length }) => sum + length, 0);
