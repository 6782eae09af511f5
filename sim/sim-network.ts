/** The network between nodes. It loses, delays, duplicates and reorders hints in fault windows. */
import type { ClusterSnapshot, Network, PeerMessage } from '../src/ports/network.js';
import type { Conditions } from './conditions.js';
import type { Stream } from './sim-random.js';
import { type Life, SimEvent, type World } from './world.js';

type Receive = (message: PeerMessage, from: number) => void;

interface Listener {
  readonly life: Life;
  readonly receive: Receive;
  /** Returns the generation of the store that the listener works with; empty until the listener has read it. */
  readonly generation: () => string;
}

const LATENCY_MS = { low: 0.1, high: 1.5 };

/** Connects the networks of all nodes. */
export class Hub {
  /** Listeners by incarnation, the latest first. A store that was emptied assigns the incarnations of its members again. */
  private readonly listeners = new Map<number, readonly Listener[]>();
  /** Number of messages hit, per kind of fault. */
  readonly hits = { netLoss: 0, netDouble: 0, netReorder: 0, netCut: 0 };
  /** Is called with every message when it arrives. */
  heard: (to: Life, from: Life, message: PeerMessage) => void = () => undefined;
  /** Is called with every message when it leaves. */
  sent: (from: Life, message: PeerMessage) => void = () => undefined;
  /** Held messages, by 'from>to'. */
  private readonly stuck = new Map<string, SimEvent[]>();

  constructor(
    readonly world: World,
    readonly conditions: Conditions,
  ) {}

  /** Holds from now on what one host sends to the other. */
  hold(from: string, to: string): void {
    this.stuck.set(`${from}>${to}`, []);
  }

  /** Delivers the held messages now. */
  release(from: string, to: string): void {
    const arriving = this.stuck.get(`${from}>${to}`) ?? [];
    this.stuck.delete(`${from}>${to}`);
    for (const delivery of arriving) this.world.push(delivery, 0);
  }

  add(incarnation: number, listener: Listener): void {
    this.listeners.set(incarnation, [listener, ...(this.listeners.get(incarnation) ?? [])]);
  }

  remove(incarnation: number, life: Life): void {
    const left = (this.listeners.get(incarnation) ?? []).filter((listener) => listener.life !== life);
    if (left.length > 0) this.listeners.set(incarnation, left);
    else this.listeners.delete(incarnation);
  }

  /** Returns the process with that incarnation in that store. The generation counts only if both ends have read theirs. */
  listenerOf(incarnation: number, generation = ''): Listener | undefined {
    const isOfIt = (its: string): boolean => generation === '' || its === '' || its === generation;
    return this.listeners.get(incarnation)?.find((listener) => isOfIt(listener.generation()));
  }

  listens(life: Life): boolean {
    return [...this.listeners.values()].flat().some((listener) => listener.life === life);
  }

  heal(): void {
    for (const pair of [...this.stuck.keys()]) {
      const [from = '', to = ''] = pair.split('>');
      this.release(from, to);
    }
  }

  /** Holds the message if its link is held. Returns whether it did. */
  keeps(delivery: SimEvent, from: string, to: string): boolean {
    if (this.stuck.size === 0) return false;
    const list = this.stuck.get(`${from}>${to}`);
    list?.push(delivery);
    return list !== undefined;
  }
}

class Delivery extends SimEvent {
  constructor(
    private readonly hub: Hub,
    private readonly listener: Listener,
    private readonly from: Life,
    private readonly to: number,
    private readonly fromIncarnation: number,
    private readonly generation: string,
    private readonly message: PeerMessage,
  ) {
    super(listener.life);
  }

  fire(): void {
    const { hub, listener, from, to } = this;
    if (hub.keeps(this, from.host, listener.life.host)) return;
    if (hub.listenerOf(to, this.generation) !== listener) return;
    if (!hub.conditions.reaches(from.host, listener.life.host)) {
      hub.hits.netCut++;
      return;
    }
    hub.heard(listener.life, from, this.message);
    listener.receive(this.message, this.fromIncarnation);
  }
}

export class SimNetwork implements Network {
  private incarnation = 0;
  private generation = '';
  private readonly lastAtMs = new Map<number, number>();

  constructor(
    private readonly hub: Hub,
    private readonly life: Life,
    private readonly chance: Stream,
  ) {}

  send(to: number, message: PeerMessage): void {
    const { hub, life } = this;
    if (!life.alive) return;
    if (life.isStopped) life.onLateAct(`sends a ${message.kind}`);
    if (this.incarnation === 0) return;
    hub.sent(life, message);
    const listener = hub.listenerOf(to, this.generation);
    if (listener === undefined) return;
    const { conditions } = hub;
    if (conditions.hit('netLoss', life.host, this.chance)) {
      hub.hits.netLoss++;
      return;
    }
    this.deliver(to, listener, message);
    if (conditions.hit('netDouble', life.host, this.chance)) {
      hub.hits.netDouble++;
      this.deliver(to, listener, message);
    }
  }

  private deliver(to: number, listener: Listener, message: PeerMessage): void {
    const { world, conditions, hits } = this.hub;
    const { chance } = this;
    let atMs = world.nowMs + chance.between(LATENCY_MS.low, LATENCY_MS.high) + chance.next() * conditions.netDelayMs;
    if (conditions.hit('netReorder', this.life.host, chance)) {
      hits.netReorder++;
      atMs += chance.between(0, 200);
    } else {
      atMs = Math.max(atMs, this.lastAtMs.get(to) ?? 0);
      this.lastAtMs.set(to, atMs);
    }
    const { hub, life, incarnation, generation } = this;
    world.push(new Delivery(hub, listener, life, to, incarnation, generation, message), atMs - world.nowMs);
  }

  listen(incarnation: number, receive: Receive): void {
    if (!this.life.alive) return;
    this.leave();
    this.incarnation = incarnation;
    this.hub.add(incarnation, { life: this.life, receive, generation: () => this.generation });
  }

  update({ generation }: ClusterSnapshot): void {
    this.generation = generation;
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  private leave(): void {
    this.hub.remove(this.incarnation, this.life);
    this.incarnation = 0;
  }
}
