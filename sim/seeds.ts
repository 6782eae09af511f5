/** The campaign over many seeds: prints progress, violations as they occur, and one JSON object at the end. */
import { cpuMs, inMacrotask, isTerminal, printNote, printOver, printResult, realMs } from './ambient.js';
import { addTotals, noTotals, type SeedViolation, type Totals } from './campaign.js';
import type { Options } from './cli.js';
import { runAll } from './pool.js';
import { replayLine, reportSeed } from './report/failure.js';

const CHUNK = 10;
const PROGRESS_MS = 1000;
const REPORTS_MAX = 3;

export async function runSeeds(options: Options): Promise<boolean> {
  const totals = noTotals();
  const spent = watchTime();
  const startMs = realMs();
  const endMs = options.minutes === undefined ? Number.POSITIVE_INFINITY : startMs + options.minutes * 60_000;
  const last = options.minutes === undefined ? options.from + options.seeds : Number.POSITIVE_INFINITY;
  let next = options.from;
  let toldMs = startMs;
  await runAll(
    {
      next: () => {
        if (next >= last || realMs() >= endMs) return undefined;
        const from = next;
        next = Math.min(last, next + CHUNK);
        return { from, count: next - from, nodes: options.nodes, store: options.store };
      },
      done: (more) => {
        addTotals(totals, more);
        for (const violation of more.violations) tell(violation);
        const nowMs = realMs();
        if (nowMs - toldMs < PROGRESS_MS && next < last) return;
        toldMs = nowMs;
        progress(totals, last - options.from, nowMs - startMs);
      },
    },
    options.workers,
  );
  const time = spent();
  if (isTerminal()) printNote('');
  await report(totals.violations, options);
  summary(totals, options, time);
  return totals.violations.length === 0 && totals.determinism.diverged.length === 0;
}

/** Duration of a campaign in ms: real time, and CPU time of all cores together. */
export interface Spent {
  readonly realMs: number;
  readonly cpuMs: number;
}

/** Starts a measurement. The returned function returns the time since then. */
export function watchTime(): () => Spent {
  const [startMs, startCpuMs] = [realMs(), cpuMs()];
  return () => ({ realMs: realMs() - startMs, cpuMs: cpuMs() - startCpuMs });
}

const tell = ({ seed, invariant, what }: SeedViolation): void => printNote(`\nVIOLATED ${invariant} at seed ${seed}: ${what}`);

function progress(totals: Totals, seeds: number, ms: number): void {
  const of = Number.isFinite(seeds) ? `/${seeds}` : '';
  const line = `${totals.runs}${of} seeds, ${totals.violations.length} violations, ${rate(totals.events, ms)} events/s, ${rate(totals.simMs / 1000, ms)} simulated s/s`;
  if (isTerminal()) printOver(line);
  else if (totals.runs % 500 === 0) printNote(line);
}

const rate = (count: number, ms: number): number => (ms <= 0 ? 0 : Math.round((count * 1000) / ms));

/** Shrinks the first seed of each invariant, and writes a regression test for it. */
async function report(violations: readonly SeedViolation[], options: Options): Promise<void> {
  const first = new Map<string, SeedViolation>();
  for (const v of [...violations].sort((a, b) => a.seed - b.seed)) if (!first.has(v.invariant)) first.set(v.invariant, v);
  for (const { seed, invariant } of [...first.values()].slice(0, REPORTS_MAX))
    await inMacrotask((drain) => reportSeed(seed, invariant, options, drain));
}

export function jsonOf(totals: Totals, options: Pick<Options, 'nodes' | 'store'>, spent: Spent): Record<string, unknown> {
  const { runs, events, simMs, messages, faults, excused, excusedRuns, determinism } = totals;
  return {
    runs,
    violations: totals.violations
      .sort((a, b) => a.seed - b.seed)
      .map(({ seed, invariant, what }) => ({ seed, scenario: null, invariant, what, replay: replayLine(seed, options) })),
    events,
    eventsPerSecond: rate(events, spent.realMs),
    eventsPerCpuSecond: rate(events, spent.cpuMs),
    simSeconds: Math.round(simMs / 1000),
    simSecondsPerSecond: rate(simMs / 1000, spent.realMs),
    seedsPerCoreHour: rate(runs * 3600, spent.cpuMs),
    messages,
    nodesPerRun: runs === 0 ? 0 : Number((totals.nodes / runs).toFixed(2)),
    faults,
    traceHash: totals.hash.toString(16).padStart(8, '0'),
    determinism: { checked: determinism.checked, diverged: determinism.diverged.length },
    canaries: [],
    excused,
    excusedRuns,
    undecided: totals.unknown,
    calm: { runs: totals.calm.length, seeds: [...totals.calm].sort((a, b) => a - b) },
    rescued: totals.rescued,
    unknownCalls: { all: totals.unknownCalls, farFromFaults: totals.unknownFarFromFaults },
    explored: { states: 0, complete: false },
  };
}

function summary(totals: Totals, options: Options, spent: Spent): void {
  const json = jsonOf(totals, options, spent);
  printNote(
    `${totals.runs} seeds, ${Math.round(totals.simMs / 1000)} simulated seconds, ${totals.events} events, ${totals.messages} messages in ${(spent.realMs / 1000).toFixed(1)} s`,
  );
  printNote(`${json.eventsPerCpuSecond} events per CPU second, ${json.seedsPerCoreHour} seeds per core and hour`);
  printNote(
    `faults: ${Object.entries(totals.faults)
      .map(([k, n]) => `${k} ${n}`)
      .join(', ')}`,
  );
  const excused = Object.entries(totals.excused).map(([id, n]) => `${id} ${n}`);
  printNote(`excused in ${totals.excusedRuns} runs: ${excused.length === 0 ? 'nothing' : excused.join(', ')}`);
  printNote(
    `${totals.calm.length} calm seeds; ${totals.rescued} messages found by a sweep or a restart in the others; ${totals.unknownCalls} calls ended unknown, ${totals.unknownFarFromFaults} of them far from any fault`,
  );
  const { checked, diverged } = totals.determinism;
  printNote(`determinism: ${checked} seeds run twice, ${diverged.length} diverged${diverged.length > 0 ? `: ${diverged}` : ''}`);
  printNote(`${totals.violations.length} violations`);
  if (options.json) printResult(JSON.stringify(json));
}
