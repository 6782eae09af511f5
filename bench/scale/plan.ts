/** Defines what workload `scale` measures. One job runs in a process of its own and measures one part at each n. */

import { Redis } from 'ioredis';
import { CORE_CASES, coreCost } from './core-costs.js';
import { nodeCosts, OF_ONE_NODE, SCENARIO_NAMES, type ScenarioName } from './node-costs.js';
import { memberCosts, scriptCosts } from './script-costs.js';
import { logEveryCall, writeFileAgain } from './script-world.js';

export const SIZES: readonly number[] = [1000, 10_000, 100_000];
/** Entities per member in part `members`. Live members of a cluster are few, so their number is a hundredth of n. */
const ENTITIES_A_MEMBER = 100;

/** `core`, `memory` and `redis` measure CPU of Node; `redis`, `scripts` and `members` measure CPU of Redis. */
export type Part = 'core' | 'memory' | 'redis' | 'scripts' | 'members';

export interface ScaleJob {
  readonly part: Part;
  /** Scenario of parts `memory` and `redis`. */
  readonly scenario: ScenarioName | undefined;
  readonly sizes: readonly number[];
  readonly redisPort: number | undefined;
}

export interface Sample {
  readonly part: Part;
  readonly name: string;
  /** The process whose CPU was measured. */
  readonly cpu: 'Node' | 'Redis';
  readonly n: number;
  readonly micros: number;
}

export type ScaleAnswer = { readonly samples: readonly Sample[] } | { readonly error: string };

/** Returns the jobs of one round. Without a port the jobs on Redis are left out. */
export function jobsOf(
  sizes: readonly number[],
  stores: readonly ('memory' | 'redis')[],
  redisPort: number | undefined,
): ScaleJob[] {
  const job = (part: Part, scenario?: ScenarioName): ScaleJob => ({
    ...{ part, scenario, sizes },
    redisPort: part === 'core' || part === 'memory' ? undefined : redisPort,
  });
  const jobs = [job('core')];
  if (stores.includes('memory')) jobs.push(...OF_ONE_NODE.map((scenario) => job('memory', scenario)));
  if (redisPort !== undefined)
    jobs.push(...SCENARIO_NAMES.map((scenario) => job('redis', scenario)), job('scripts'), job('members'));
  return jobs;
}

export const nameOf = ({ part, scenario }: ScaleJob): string => (scenario === undefined ? part : `${part} ${scenario}`);

export async function samplesOf(job: ScaleJob): Promise<Sample[]> {
  const { part } = job;
  if (part === 'core') return coreSamples(job);
  return part === 'scripts' || part === 'members' ? scriptSamples(job) : nodeSamples(job);
}

async function coreSamples({ part, sizes }: ScaleJob): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const one of CORE_CASES)
    for (const n of sizes) samples.push({ part, name: one.name, cpu: 'Node', n, micros: await coreCost(one, n) });
  return samples;
}

async function scriptSamples({ part, sizes, redisPort = 0 }: ScaleJob): Promise<Sample[]> {
  const admin = new Redis({ port: redisPort });
  try {
    await logEveryCall(admin);
    const samples: Sample[] = [];
    for (const size of sizes) {
      await admin.flushall();
      const n = part === 'members' ? size / ENTITIES_A_MEMBER : size;
      const costs = await (part === 'members' ? memberCosts : scriptCosts)(redisPort, admin, n);
      for (const [name, micros] of costs) samples.push({ part, name, cpu: 'Redis', n, micros });
    }
    return samples;
  } finally {
    await writeFileAgain(admin);
    admin.disconnect();
  }
}

async function nodeSamples({ part, scenario, sizes, redisPort }: ScaleJob): Promise<Sample[]> {
  if (scenario === undefined) throw new Error(`part ${part} needs a scenario`);
  const samples: Sample[] = [];
  // The first run compiles the code and is not measured: it would make few items look expensive and hide growth.
  await nodeCosts(scenario, redisPort, sizes[0] ?? 0);
  for (const n of sizes) {
    for (const [name, { node, redis }] of await nodeCosts(scenario, redisPort, n)) {
      samples.push({ part, name, cpu: 'Node', n, micros: node });
      if (part === 'redis') samples.push({ part, name, cpu: 'Redis', n, micros: redis });
    }
  }
  return samples;
}
