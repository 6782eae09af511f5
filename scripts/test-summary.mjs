// Counts the tests of a run from its journal (test-reporter.mjs), also of an aborted run.

/** Summarizes the text of a journal. A broken or aborted file counts as a failure; so does a run without any file that ran. */
export function summaryOf(text) {
  const files = new Map();
  const notRun = new Set();
  const failures = [];
  let isOver = false;
  let errors = 0;
  for (const line of text.split('\n').filter((l) => l !== '')) {
    const entry = JSON.parse(line);
    if (entry.kind === 'over') [isOver, errors] = [true, entry.errors];
    else if (entry.kind === 'planned') files.set(entry.file, { state: 'waits', states: [], isBroken: false });
    else note(files.get(entry.file), entry);
    if (entry.state === 'failed') failures.push(`${entry.file} > ${entry.name}: ${entry.why}`);
    for (const title of entry.notRun ?? []) notRun.add(title);
  }
  const all = [...files];
  const named = (state) => all.filter(([, file]) => file.state === state).map(([name]) => name);
  const count = (state) => all.reduce((sum, [, { states }]) => sum + states.filter((s) => s === state).length, 0);
  const [cut, waiting] = [named('runs'), named('waits')];
  const broken = all.filter(([, { isBroken }]) => isBroken).length;
  const isNothing = all.length === 0 || (!isOver && cut.length === 0);
  const failed = count('failed') + broken + errors + cut.length + (isNothing ? 1 : 0);
  return { isOver, passed: count('passed'), failed, skipped: count('skipped'), failures, cut, waiting, notRun: [...notRun] };
}

function note(file, entry) {
  if (entry.kind === 'began') file.state = 'runs';
  else if (entry.kind === 'case') {
    // The end of a file lists the states of all its tests. A result that is reported later is in that list.
    if (file.state !== 'ended') file.states.push(entry.state);
  } else Object.assign(file, { state: 'ended', states: entry.states, isBroken: entry.isBroken });
}
