/** BullMQ, free version: one queue, 100 jobs at once, no order per entity (groups are in the paid version). */
import type { Redis } from 'ioredis';
import { loadPeer } from './peers.js';
import { PADDING, StartSide } from './side.js';

interface Data {
  readonly entity: string;
  readonly number: number;
  readonly padding: string;
}

interface Events {
  setMaxListeners(count: number): void;
  waitUntilReady(): Promise<unknown>;
}

interface BullJob {
  waitUntilFinished(events: Events): Promise<number>;
}

interface BullQueue {
  add(name: string, data: Data): Promise<BullJob>;
  addBulk(jobs: { name: string; data: Data }[]): Promise<unknown>;
}

interface BullMq {
  Queue: new (name: string, options: object) => BullQueue;
  Worker: new (name: string, run: (job: { readonly data: Data }) => Promise<number>, options: object) => unknown;
  QueueEvents: new (name: string, options: object) => Events;
}

export const startBullMq: StartSide = async ({ redisPort, workload, witness }) => {
  const { Queue, Worker, QueueEvents } = loadPeer('bullmq') as BullMq;
  const { Redis } = loadPeer('ioredis') as { Redis: new (options: object) => Redis };
  const connect = (): Redis => new Redis({ port: redisPort, maxRetriesPerRequest: null });
  const keep = workload === 'reply' ? { count: 1000 } : true;
  const defaultJobOptions = { removeOnComplete: keep, removeOnFail: keep, attempts: 1 };
  const queue = new Queue('bench', { connection: connect(), defaultJobOptions });
  new Worker('bench', ({ data }) => witness.handle(data.entity, data.number), { connection: connect(), concurrency: 100 });
  const events = workload === 'reply' ? new QueueEvents('bench', { connection: connect() }) : undefined;
  events?.setMaxListeners(0);
  await events?.waitUntilReady();
  const data = (entity: string, number: number): Data => ({ entity, number, padding: PADDING });
  return {
    window: 2,
    bulk: async (messages) => {
      await queue.addBulk(messages.map(({ entity, number }) => ({ name: 'm', data: data(entity, number) })));
    },
    call: async ({ entity, number }) => {
      if (!events) throw new Error('calls belong to the workload `reply`');
      return (await queue.add('m', data(entity, number))).waitUntilFinished(events);
    },
    close: async () => undefined,
  };
};
