/**
 * Builds in which one guard is switched off. The suite must catch each of them, or it is blind. A build is a copy of the compiled
 * suite with the package, in which one module or script is replaced. No code that ships knows of it.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { InvariantId } from '../sim/checkers/view.js';
import { BUILT, NODE_FILE, PACKAGE } from './program.js';

export interface Canary {
  readonly name: string;
  /** What the build does wrong, for people. */
  readonly does: string;
  /** At least one of these must be violated. */
  readonly expected: readonly InvariantId[];
  /** Name of the scenario that must catch the canary. */
  readonly scenario: string;
  readonly patches: readonly Patch[];
}

interface Patch {
  /** A module of the package, as it is built. */
  readonly file: string;
  /** Text to replace. Must match exactly once. */
  readonly what: RegExp;
  readonly by: string;
}

/**
 * Returns a patch that appends code to the module of a class. The code replaces a method, and throws if the class does not have
 * it.
 */
const replaceMethod = (file: string, className: string, method: string, make: string): Patch => ({
  file,
  what: /$(?![\s\S])/g,
  by: `
{
  const before = ${className}.prototype.${method};
  if (typeof before !== 'function') throw new Error('${className} has no method ${method}: the canary replaces nothing');
  ${className}.prototype.${method} = ${make};
}
`,
});

const ANY_INCARNATION = 'function () { return this.incarnation !== 0; }';

export const CANARIES: readonly Canary[] = [
  {
    name: 'late-copies-apply',
    does: 'a copy of a batch that comes late is applied once more',
    expected: ['I1', 'I3', 'I4', 'I5'],
    scenario: 'redis-sigstop',
    patches: [
      {
        file: 'redis/script.gen.js',
        what: /if number <= applied then\s+if number < 1 or number < applied - 1 then return 'S' end\s[^;]+? or 'U'\s+end/g,
        by: 'if number <= applied then ARGV[4] = last end',
      },
    ],
  },
  {
    name: 'start-after-lease',
    does: 'the lease is not checked before a handler starts',
    expected: ['I1', 'I2'],
    scenario: 'sigstop-in-flight',
    patches: [
      replaceMethod('runtime/membership.js', 'Membership', 'leaseValid', ANY_INCARNATION),
      replaceMethod('runtime/ownership.js', 'Ownership', 'leaseValid', ANY_INCARNATION),
    ],
  },
  {
    name: 'ack-before-log',
    does: 'a receipt is given when the message is sent',
    expected: ['I4'],
    scenario: 'redis-blackhole-one',
    patches: [
      replaceMethod(
        'runtime/enqueue.js',
        'Enqueue',
        'submit',
        'function (append) { append.onReceipt?.({ id: append.op.message.id, sequence: 1 }); return before.call(this, append); }',
      ),
    ],
  },
];

/** Returns the text of a module with the patch applied. Throws unless the patch matches exactly once. */
export function patched(canary: Canary, { file, what, by }: Patch, text: string): string {
  const found = [...text.matchAll(what)].length;
  if (found !== 1) throw new Error(`the canary ${canary.name} finds what it replaces ${found} times in ${file}`);
  return text.replace(what, () => by);
}

const folderOf = ({ name }: Canary): string => join(dirname(BUILT), `chaos-canary-${name}`);

export const removeCanary = (canary: Canary): void => rmSync(folderOf(canary), { recursive: true, force: true });

/** Makes the build of a canary. Returns the path of its node program. */
export function buildCanary(canary: Canary): string {
  const target = folderOf(canary);
  removeCanary(canary);
  cpSync(BUILT, target, { recursive: true });
  for (const patch of canary.patches) {
    const path = join(target, PACKAGE, 'dist/esm', patch.file);
    writeFileSync(path, patched(canary, patch, readFileSync(path, 'utf8')));
  }
  return join(target, relative(BUILT, NODE_FILE));
}
