/** Measures CPU, memory and percentiles of one measurement: of this process, and of the Redis that it uses. */
import { Redis } from 'ioredis';

export interface Metered {
  readonly seconds: number;
  readonly nodeCpuSeconds: number;
  readonly redisCpuSeconds: number;
}

export class Meter {
  private readonly admin: Redis | undefined;

  /** `othersCpuSeconds` returns the CPU seconds of the processes that work beside this one. */
  constructor(
    redisPort: number | undefined,
    private readonly othersCpuSeconds: () => Promise<number> = () => Promise.resolve(0),
  ) {
    this.admin = redisPort === undefined ? undefined : new Redis({ port: redisPort });
  }

  async measure(work: () => Promise<void>): Promise<Metered> {
    const redisBefore = await this.redisCpuSeconds();
    const othersBefore = await this.othersCpuSeconds();
    const nodeBefore = process.cpuUsage();
    const startMs = performance.now();
    await work();
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(nodeBefore);
    const othersCpuSeconds = (await this.othersCpuSeconds()) - othersBefore;
    const redisCpuSeconds = (await this.redisCpuSeconds()) - redisBefore;
    return { seconds, nodeCpuSeconds: (user + system) / 1e6 + othersCpuSeconds, redisCpuSeconds };
  }

  /**
   * Returns the bytes of Redis's data. Subtracts the buffers of connections and of the AOF, which vary and do not belong to
   * entities.
   */
  async redisDataBytes(): Promise<number> {
    if (!this.admin) return 0;
    const info = await this.admin.info('memory');
    const field = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1] ?? 0);
    return field('used_memory') - field('mem_clients_normal') - field('mem_aof_buffer');
  }

  close(): void {
    this.admin?.disconnect();
  }

  private async redisCpuSeconds(): Promise<number> {
    if (!this.admin) return 0;
    const info = await this.admin.info('cpu');
    const field = (name: string): number => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? 0);
    return field('used_cpu_user') + field('used_cpu_sys');
  }
}

export const perMessage = ({ seconds, nodeCpuSeconds, redisCpuSeconds }: Metered, count: number) => ({
  perSecond: count / seconds,
  nodeMicros: (nodeCpuSeconds / count) * 1e6,
  redisMicros: (redisCpuSeconds / count) * 1e6,
});

export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Returns the middle value, or for an even count the mean of the two middle values. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
}
