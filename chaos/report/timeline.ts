/** Renders one scenario as a page: throughput, errors and faults over time, as an SVG. */
import type { HistoryEvent } from '../../sim/history.js';
import { inWords, type Judgement } from '../judge.js';
import type { Scenario } from '../scenarios/scenario.js';

const BIN_MS = 250;
const [WIDTH, LEFT, RIGHT] = [1100, 60, 20];
const [CHART_TOP, CHART_HEIGHT, LANE_HEIGHT] = [30, 180, 18];
const NODE_STATES = new Set([
  'suspended',
  'resumed',
  'lease-lost',
  'joined',
  'degraded',
  'recovered',
  'crashed',
  'exited',
  'closed',
]);

const SERIES = [
  { name: 'ok', colour: '#2a8f4d' },
  { name: 'failed', colour: '#c98a00' },
  { name: 'rejected', colour: '#7a5bd0' },
  { name: 'unknown', colour: '#cc3333' },
] as const;
type SeriesName = (typeof SERIES)[number]['name'];

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function seriesOf(event: HistoryEvent): SeriesName | undefined {
  if (event.kind === 'ok') return 'ok';
  if (event.kind === 'unknown') return 'unknown';
  return event.kind === 'fail' ? (event.definite ? 'rejected' : 'failed') : undefined;
}

interface Span {
  readonly label: string;
  readonly fromMs: number;
  toMs: number;
}

function spansOf(events: readonly HistoryEvent[], endMs: number): Span[] {
  const spans: Span[] = [];
  for (const event of events) {
    if (event.kind !== 'fault') continue;
    const label = `${event.fault} ${event.node}`;
    const open = spans.find((s) => s.label === label && s.toMs === endMs);
    if (event.phase === 'end' && open !== undefined) open.toMs = event.atMs;
    else if (event.phase !== 'end') spans.push({ label, fromMs: event.atMs, toMs: event.phase === 'once' ? event.atMs : endMs });
  }
  return spans;
}

export function timelineHtml(scenario: Scenario, events: readonly HistoryEvent[], judgement: Judgement): string {
  const endMs = events.at(-1)?.atMs ?? 1;
  const x = (atMs: number): number => Number((LEFT + (atMs / endMs) * (WIDTH - LEFT - RIGHT)).toFixed(1));
  const spans = spansOf(events, endMs);
  const nodes = [...new Set(events.filter((e) => e.kind === 'node').map((e) => e.node))].sort();
  const height = CHART_TOP + CHART_HEIGHT + 30 + (spans.length + nodes.length) * LANE_HEIGHT + 20;
  const parts = [chartOf(events, endMs, x), lanesOf(events, spans, nodes, x)];
  const healed = events.find((e) => e.kind === 'healed');
  if (healed !== undefined) {
    const at = x(healed.atMs);
    parts.push(`<line x1="${at}" x2="${at}" y1="${CHART_TOP - 12}" y2="${height}" stroke="#2a8f4d" stroke-dasharray="4 3"/>`);
    parts.push(`<text x="${at + 3}" y="${CHART_TOP - 4}" fill="#2a8f4d">healed</text>`);
  }
  const { verdict, messages, ok, failed, rejected, unknown, recoveredMs, violations } = judgement;
  const legend = SERIES.map(({ name, colour }) => `<span style="color:${colour}">&#9632; ${name}</span>`).join(' ');
  const list = violations.map((v) => `<li>${v.invariant} (${escaped(inWords(v.invariant))}): ${escaped(v.what)}</li>`).join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>chaos: ${scenario.name}</title>
<style>body{font:14px system-ui,sans-serif;margin:24px;max-width:${WIDTH}px}svg text{font:11px system-ui,sans-serif}</style></head>
<body><h1>${scenario.name}: ${verdict}</h1><p>${escaped(scenario.shows)}</p>
<p>${scenario.faults.map(escaped).join('; ')}</p>
<p>${messages} calls: ${ok} ok, ${failed} failed, ${rejected} rejected, ${unknown} unknown; recovered in ${recoveredMs ?? 'never'} ms. ${legend}</p>
<svg width="${WIDTH}" height="${height}" role="img" aria-label="throughput, errors and faults over time">${parts.join('\n')}</svg>
${list === '' ? '' : `<h2>Violated</h2><ul>${list}</ul>`}
</body></html>
`;
}

function chartOf(events: readonly HistoryEvent[], endMs: number, x: (atMs: number) => number): string {
  const bins = Math.ceil(endMs / BIN_MS) + 1;
  const counts = new Map<SeriesName, number[]>(SERIES.map(({ name }) => [name, new Array<number>(bins).fill(0)]));
  for (const event of events) {
    const name = seriesOf(event);
    const list = name === undefined ? undefined : counts.get(name);
    const bin = Math.floor(event.atMs / BIN_MS);
    if (list !== undefined) list[bin] = (list[bin] ?? 0) + 1;
  }
  const highest = Math.max(1, ...[...counts.values()].flat());
  const y = (n: number): number => Number((CHART_TOP + CHART_HEIGHT - (n / highest) * CHART_HEIGHT).toFixed(1));
  const lines = SERIES.map(({ name, colour }) => {
    const points = (counts.get(name) ?? []).map((n, i) => `${x(Math.min(endMs, i * BIN_MS))},${y(n)}`).join(' ');
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points}"/>`;
  });
  const perSecond = Math.round((highest * 1000) / BIN_MS);
  const axis = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(0)}" y2="${y(0)}" stroke="#888"/>
<text x="4" y="${y(highest) + 4}">${perSecond} /s</text><text x="4" y="${y(0)}">0</text>`;
  const seconds = Array.from({ length: Math.floor(endMs / 5000) + 1 }, (_, i) => i * 5);
  const ticks = seconds.map((s) => `<text x="${x(s * 1000)}" y="${y(0) + 14}">${s} s</text>`);
  return [axis, ...ticks, ...lines].join('\n');
}

function lanesOf(
  events: readonly HistoryEvent[],
  spans: readonly Span[],
  nodes: readonly string[],
  x: (atMs: number) => number,
): string {
  const top = CHART_TOP + CHART_HEIGHT + 30;
  const faults = spans.map(({ label, fromMs, toMs }, i) => {
    const y = top + i * LANE_HEIGHT;
    const width = Math.max(3, x(toMs) - x(fromMs));
    return `<rect x="${x(fromMs)}" y="${y}" width="${width}" height="${LANE_HEIGHT - 4}" fill="#e8b0a0"/>
<text x="${Math.min(x(fromMs) + 3, WIDTH - 260)}" y="${y + 11}">${escaped(label)}</text>`;
  });
  const states = nodes.flatMap((node, i) => {
    const y = top + (spans.length + i) * LANE_HEIGHT + 11;
    const marks = events
      .filter((e) => e.kind === 'node' && e.node === node && NODE_STATES.has(e.state))
      .map((e) => (e.kind === 'node' ? `<text x="${x(e.atMs)}" y="${y}" fill="#335">|${e.state}</text>` : ''));
    return [`<text x="4" y="${y}" font-weight="bold">${escaped(node)}</text>`, ...marks];
  });
  return [...faults, ...states].join('\n');
}
