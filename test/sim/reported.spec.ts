import { describe, expect, it } from 'vitest';
import { append, broken, final, invoke, ON1, ON2, type Raw } from './history.js';

const A = 'plain:a';
const joined = (on: typeof ON1): Raw => ({ kind: 'node', ...on, state: 'joined' });
const letter = (id: string, on = ON1): Raw => ({
  ...{ kind: 'letter', ...on, letter: id, entity: A, id: `id-${id}`, seq: 1, attempt: 1, reason: 'failed' },
});
const drop = (id: string, node = 'n1'): Raw => ({
  ...{ kind: 'drop', node, incarnation: 0, letter: id, left: 5, ageMs: 0 },
});
const reported = (event: 'dead-letter' | 'dropping-dead-letter', id: string): Raw => ({
  ...{ kind: 'reported', ...ON1, event, entity: A, id: `id-${id}`, letter: id },
});

describe('the calls of one process for one entity', () => {
  const logged = (...calls: string[]): Raw[] => calls.map((call, i) => append(call, A, i + 1));
  const called = (...calls: string[]): Raw[] => calls.map((call) => invoke(call, A));

  it('are logged in their order', () => {
    expect(broken([...called('c1', 'c2', 'c3'), ...logged('c1', 'c2', 'c3')])).not.toContain('I3');
    expect(broken([...called('c1', 'c2', 'c3'), ...logged('c1', 'c3', 'c2')])).toContain('I3');
  });

  it('may be logged in any order where they come from several processes, or are made again', () => {
    const other = invoke('c2', A, {}, ON2);
    expect(broken([...called('c1'), other, append('c2', A, 1, ON2), append('c1', A, 2)])).not.toContain('I3');
    expect(broken([...called('c1', 'c2', 'c1'), ...logged('c2', 'c1')])).not.toContain('I3');
  });
});

describe('dead letters', () => {
  it('are reported by the node that made them, if it stays', () => {
    expect(broken([joined(ON1), letter('1'), reported('dead-letter', '1'), final()])).not.toContain('I4');
    expect(broken([joined(ON1), letter('1'), final()])).toContain('I4');
    expect(broken([joined(ON1), letter('1'), reported('dead-letter', '2'), final()])).toContain('I4');
    expect(broken([joined(ON1), letter('1'), { kind: 'node', ...ON1, state: 'draining' }, final()])).not.toContain('I4');
    // It had died before the log had its step.
    const again = joined({ ...ON1, incarnation: 3 });
    expect(broken([joined(ON1), { kind: 'node', ...ON1, state: 'crashed' }, again, letter('1'), final()])).not.toContain('I4');
  });

  it('are reported before a limit deletes them', () => {
    const made = ['1', '2', '3'].flatMap((id) => [letter(id), reported('dead-letter', id)]);
    expect(broken([joined(ON1), ...made, reported('dropping-dead-letter', '1'), drop('1')])).not.toContain('I4');
    expect(broken([joined(ON1), ...made, drop('1')])).toContain('I4');
    expect(broken([joined(ON1), ...made, drop('1'), reported('dropping-dead-letter', '1')])).toContain('I4');
  });
});
