/**
 * groupmq: strict order per group on Redis, by a lease. Each message is one add; `autoBatch` is groupmq's way to add in bulk.
 * groupmq has no request/reply: a call resolves by the worker's event in the same process, which is its best case.
 */
import type { Redis } from 'ioredis';
import { loadPeer } from './peers.js';
import { PADDING, StartSide } from './side.js';

interface Data {
  readonly entity: string;
  readonly number: number;
  readonly padding: string;
}

interface Job {
  readonly id: string;
  readonly data: Data;
}

interface GroupQueue {
  add(options: { groupId: string; data: Data; jobId?: string }): Promise<unknown>;
}

interface GroupWorker {
  on(event: 'completed', listener: (job: Job) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  run(): Promise<void>;
}

interface GroupMq {
  Queue: new (options: object) => GroupQueue;
  Worker: new (options: object) => GroupWorker;
}

export const startGroupMq: StartSide = async ({ redisPort, workload, witness }) => {
  const { Queue, Worker } = loadPeer('groupmq') as GroupMq;
  const { Redis } = loadPeer('ioredis') as { Redis: new (options: object) => Redis };
  const redis = new Redis({ port: redisPort, maxRetriesPerRequest: null });
  const autoBatch = workload === 'reply' ? false : { size: 200, maxWaitMs: 1 };
  const queue = new Queue({ redis, namespace: 'bench', maxAttempts: 1, autoBatch });
  const handler = ({ data }: Job): Promise<number> => witness.handle(data.entity, data.number);
  const worker = new Worker({ queue, concurrency: 60, maxAttempts: 1, handler });
  const waiting = new Map<string, (number: number) => void>();
  worker.on('completed', ({ id, data }) => {
    waiting.get(id)?.(data.number);
    waiting.delete(id);
  });
  worker.on('error', () => undefined);
  void worker.run();
  return {
    window: 1,
    bulk: async (messages) => {
      await Promise.all(
        messages.map(({ entity, number }) => queue.add({ groupId: entity, data: { entity, number, padding: PADDING } })),
      );
    },
    call: async ({ entity, number }) => {
      const jobId = `${entity}/${number}`;
      const answer = new Promise<number>((resolve) => waiting.set(jobId, resolve));
      await queue.add({ groupId: entity, data: { entity, number, padding: PADDING }, jobId });
      return answer;
    },
    // The child process ends without closing: a close would wait for a blocking read.
    close: async () => undefined,
  };
};
