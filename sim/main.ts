import { commandLine, cpuMs, inMacrotask, printNote, realMs } from './ambient.js';
import { runPlan } from './run.js';
import { drawPlan } from './swarm.js';

const [from = '1', to = from] = commandLine();
await inMacrotask((drain) => {
  const t = realMs(), c = cpuMs();
  let events = 0, simMs = 0, messages = 0; const byId: Record<string, number[]> = {}; const ex: Record<string, number> = {}; const faults: Record<string, number> = {};
  for (let seed = Number(from); seed <= Number(to); seed++) {
    const r = runPlan(drawPlan(seed), { drain });
    events += r.events; simMs += r.simMs; messages += r.messages;
    for (const [k, n] of Object.entries(r.faults)) faults[k] = (faults[k] ?? 0) + n;
    for (const [k, n] of Object.entries(r.verdict.excused)) ex[k] = (ex[k] ?? 0) + n;
    const seen = new Set<string>();
    for (const v of r.verdict.violations) { if (seen.has(v.invariant)) continue; seen.add(v.invariant); (byId[v.invariant] ??= []).push(seed); if (byId[v.invariant]!.length < 4) printNote(`${seed} ${v.invariant} ${v.what}`); }
    if (from === to || seed % 20 === 0) { const again = runPlan(drawPlan(seed), { drain }).hash; if (again !== r.hash) printNote(`DIVERGED ${seed} ${r.hash} ${again}`); }
  }
  const s = (cpuMs() - c) / 1000, real = (realMs() - t) / 1000, n = Number(to) - Number(from) + 1;
  printNote(JSON.stringify({ n, events, perS: Math.round(events / s), simSperS: Math.round(simMs / 1000 / s), seedsPerHour: Math.round(n / s * 3600), meanSimS: simMs / 1000 / n, meanMsgs: messages / n, evPerSeed: events / n, real }));
  printNote(JSON.stringify(faults)); printNote(JSON.stringify(ex));
  for (const [k, l] of Object.entries(byId)) printNote(`${k}: ${l.length} ${l.slice(0, 8)}`);
});
