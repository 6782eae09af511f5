/**
 * Plays scenarios one after the other, each in a folder of its own, and keeps the timelines and the histories that are needed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HistoryEvent, toLines } from '../sim/history.js';
import type { Driver } from './driver.js';
import { Guard } from './guard.js';
import { type Judgement, judge } from './judge.js';
import { timelineHtml } from './report/timeline.js';
import { play } from './run.js';
import type { Scenario } from './scenarios/scenario.js';

export interface Played {
  readonly events: readonly HistoryEvent[];
  readonly judgement: Judgement;
  readonly seconds: number;
}

export interface PlayOptions {
  readonly driver: Driver;
  readonly seed: number;
  readonly signal: AbortSignal;
}

export async function playOne(scenario: Scenario, { driver, seed, signal }: PlayOptions): Promise<Played> {
  const dir = mkdtempSync(join(tmpdir(), 'aq-chaos-'));
  // A world opens its own guard, which also knows its processes. Until the world is open, this guard removes the folder.
  const guard = new Guard(dir);
  const startMs = performance.now();
  try {
    const events = await play({ driver, scenario, seed, dir, signal });
    const judgement = judge(events, scenario.must);
    return { events, judgement, seconds: Number(((performance.now() - startMs) / 1000).toFixed(1)) };
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    guard.end();
  }
}

export interface Result extends Judgement {
  readonly name: string;
  readonly faults: readonly string[];
  readonly seconds: number;
  /** Paths of files. The history is undefined if it was not kept. */
  readonly history: string | undefined;
  readonly timeline: string;
}

/** Writes the timeline, and the history if that is asked for or the verdict is not valid. */
export function keep(scenario: Scenario, { events, judgement, seconds }: Played, out: string, keepsAll: boolean): Result {
  const { name, faults } = scenario;
  mkdirSync(out, { recursive: true });
  const timeline = join(out, `${name}.html`);
  writeFileSync(timeline, timelineHtml(scenario, events, judgement));
  const isKept = keepsAll || judgement.verdict !== 'valid';
  const history = isKept ? join(out, `${name}.history.jsonl`) : undefined;
  if (history !== undefined) writeFileSync(history, toLines(events));
  return { name, faults, ...judgement, seconds, history, timeline };
}
