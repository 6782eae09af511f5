// Writes a journal of a test run, one JSON line per event as it happens, so that an aborted run can still be counted.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

const note = (entry) => appendFileSync(process.env.AQ_TEST_JOURNAL, `${JSON.stringify(entry)}\n`);
const fileOf = ({ moduleId }) => relative(process.cwd(), moduleId);

export default class Journal {
  onTestRunStart(specifications) {
    for (const specification of specifications) note({ kind: 'planned', file: fileOf(specification) });
  }

  onTestModuleQueued(module) {
    note({ kind: 'began', file: fileOf(module) });
  }

  onTestCaseResult(test) {
    const { state, errors = [] } = test.result();
    const why = errors[0]?.message.split('\n')[0];
    note({ kind: 'case', file: fileOf(test.module), name: test.fullName, state, why });
  }

  onTestModuleEnd(module) {
    const file = fileOf(module);
    const tests = [...module.children.allTests()];
    const states = tests.map((test) => test.result().state);
    const suites = [...module.children.allSuites()].map(({ name }) => name);
    const errors = [module, ...module.children.allSuites()].flatMap((task) => task.errors());
    const isBroken = errors.length > 0 || (module.state() === 'failed' && !states.includes('failed'));
    note({ kind: 'ended', file, states, notRun: suites.filter((name) => name.startsWith('NOT RUN, ')), isBroken });
  }

  onTestRunEnd(_modules, errors) {
    note({ kind: 'over', errors: errors.length });
  }
}
