/** The proxied links of a world, and the faults that can be applied to them. */
import { type Proxy as Link, type ToxicType, Toxiproxy } from 'toxiproxy-node-client';
import type { World } from './driver.js';

/** A toxic without its name. Applies to both directions if `stream` is left out. */
export interface ToxicSpec {
  readonly type: ToxicType;
  readonly attributes: Readonly<Record<string, number>>;
  readonly stream?: 'upstream' | 'downstream';
  /** Share of the connections that the toxic affects, 0 to 1. */
  readonly toxicity?: number;
}

export const latency = (ms: number, jitterMs: number): ToxicSpec => ({
  type: 'latency',
  attributes: { latency: ms, jitter: jitterMs },
});
/** Drops all bytes and keeps the connection open. */
export const blackhole: ToxicSpec = { type: 'timeout', attributes: { timeout: 0 } };
export const reset: ToxicSpec = { type: 'reset_peer', attributes: { timeout: 0 } };
export const slowClose = (ms: number): ToxicSpec => ({ type: 'slow_close', attributes: { delay: ms } });
export const bandwidth = (kbPerSecond: number): ToxicSpec => ({ type: 'bandwidth', attributes: { rate: kbPerSecond } });
export const slicer = (bytes: number, delayUs: number): ToxicSpec => ({
  type: 'slicer',
  attributes: { average_size: bytes, size_variation: Math.floor(bytes / 2), delay: delayUs },
});

export type Heal = () => Promise<void>;

export class Links {
  private readonly proxies = new Map<string, Link>();
  private readonly server: Toxiproxy;
  private toxics = 0;

  constructor(
    private readonly world: World,
    private readonly names: readonly string[],
  ) {
    this.server = new Toxiproxy(world.toxiproxyUrl);
  }

  async open(): Promise<void> {
    const { world, names, server } = this;
    const create = async (name: string, spec: { listen: string; upstream: string }): Promise<void> => {
      this.proxies.set(name, await server.createProxy({ name, ...spec }));
    };
    for (const name of names) await create(`${name}-redis`, world.redisLink(name));
    for (const from of names) for (const to of names) if (from !== to) await create(`${from}-${to}`, world.peerLink(from, to));
  }

  private link(name: string): Link {
    const link = this.proxies.get(name);
    if (link === undefined) throw new Error(`there is no link ${name}`);
    return link;
  }

  redis(name: string): string {
    return `${name}-redis`;
  }

  /** Returns both links between two nodes, one for each direction in which a node can dial. */
  pair(a: string, b: string): string[] {
    return [`${a}-${b}`, `${b}-${a}`];
  }

  async poison(names: readonly string[], spec: ToxicSpec): Promise<Heal> {
    const added = await Promise.all(names.map((name) => this.add(name, spec)));
    return async () => {
      await Promise.all(added.map((remove) => remove()));
    };
  }

  /** Drops all that `from` sends to `to`, on the links of both directions. */
  async mute(from: string, to: string): Promise<Heal> {
    const there = await this.add(`${from}-${to}`, { ...blackhole, stream: 'upstream' });
    const back = await this.add(`${to}-${from}`, { ...blackhole, stream: 'downstream' });
    return async () => {
      await there();
      await back();
    };
  }

  private async add(name: string, { type, attributes, stream, toxicity = 1 }: ToxicSpec): Promise<Heal> {
    const link = this.link(name);
    const streams = stream === undefined ? (['upstream', 'downstream'] as const) : [stream];
    const toxics = await Promise.all(
      streams.map((s) => link.addToxic({ name: `t${++this.toxics}`, type, attributes, stream: s, toxicity })),
    );
    return async () => {
      for (const toxic of toxics) await toxic.remove();
    };
  }

  /** Cuts the connections and refuses new ones. */
  async down(names: readonly string[]): Promise<Heal> {
    await Promise.all(names.map((name) => this.enable(name, false)));
    return async () => {
      await Promise.all(names.map((name) => this.enable(name, true)));
    };
  }

  private async enable(name: string, enabled: boolean): Promise<void> {
    const { listen, upstream } = this.link(name);
    await this.link(name).update({ enabled, listen, upstream });
  }
}
