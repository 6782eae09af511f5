import { existsSync, readFileSync } from 'node:fs';

/** The part of docs/invariants.md on one invariant. */
export interface Section {
  readonly id: string;
  /** What stands behind each label, such as `Code`. */
  readonly parts: ReadonlyMap<string, string>;
}

/** What the page is held against. */
export interface Known {
  readonly ids: readonly string[];
  readonly scenarios: readonly string[];
  /** Canaries with the invariants that they must break. */
  readonly canaries: readonly { readonly name: string; readonly expected: readonly string[] }[];
  /** As `file#function`. */
  readonly checkers: readonly string[];
}

export const LABELS = ['Code', 'Assertion', 'Checker', 'Scenarios', 'Canaries', 'Tests'];
export const GUARDS = '## Guards that cover each other';

/** The sections whose heading begins with an id. */
export function sectionsOf(page: string): readonly Section[] {
  return page
    .split(/^## /m)
    .flatMap((text) => {
      const id = /^([IL]\d+f?) /.exec(text)?.[1];
      return id === undefined ? [] : [{ id, text }];
    })
    .map(({ id, text }) => {
      const items = text.split(/^- \*\*/m).slice(1);
      return {
        id,
        parts: new Map(items.map((item) => [item.slice(0, item.indexOf('**')), item.slice(item.indexOf('**: ') + 4)])),
      };
    });
}

/** Names in backticks that are neither paths nor code. */
const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/`([a-z\d]+(?:-[a-z\d]+)*)`/g)].map(([, name = '']) => name);

const symbolsIn = (text: string): readonly string[] =>
  [...text.matchAll(/`((?:src|sim)\/[\w./-]+#\w+)`/g)].map(([, symbol = '']) => symbol);

/** Whether the file declares the name: a function, a class, a constant, or a member of a class or an object. */
function isDeclared(symbol: string): boolean {
  const [file = '', name = ''] = symbol.split('#');
  if (!existsSync(file)) return false;
  const declared = new RegExp(
    `\\b(?:function|class|const|get) ${name}\\b|^\\s+(?:private |override |readonly |async )*${name}(?:\\(| =|:)`,
    'm',
  );
  return declared.test(readFileSync(file, 'utf8'));
}

/** What the page says and the code does not know, or the other way round. */
export function invariantFaults(page: string, known: Known): readonly string[] {
  const sections = sectionsOf(page);
  const have = sections.map(({ id }) => id);
  const named = sections.flatMap(({ parts }) => symbolsIn(parts.get('Checker') ?? ''));
  const guards = page.slice(page.indexOf(GUARDS)).split(/^## /m)[1] ?? '';
  const isCanary = (name: string): boolean => known.canaries.some((c) => c.name === name);
  return [
    ...known.ids.filter((id) => !have.includes(id)).map((id) => `${id} has no section`),
    ...have.filter((id, i) => !known.ids.includes(id) || have.indexOf(id) !== i).map((id) => `${id} has a section too many`),
    ...sections.flatMap((section) => sectionFaults(section, known)),
    ...known.checkers.filter((checker) => !named.includes(checker)).map((checker) => `${checker} is named nowhere`),
    ...namesIn(guards)
      .filter((name) => name.includes('-') && !isCanary(name))
      .map((name) => `there is no canary ${name}`),
  ];
}

function sectionFaults({ id, parts }: Section, known: Known): readonly string[] {
  const part = (label: string): string => parts.get(label) ?? '';
  const canaries = namesIn(part('Canaries'));
  const scenarios = namesIn(part('Scenarios'));
  const wanted = known.canaries.filter(({ expected }) => expected.includes(id)).map(({ name }) => name);
  return [
    ...LABELS.filter((label) => part(label).trim() === '').map((label) => `${id} says nothing of: ${label}`),
    ...['Code', 'Checker'].filter((label) => symbolsIn(part(label)).length === 0).map((label) => `${id} names no code: ${label}`),
    ...[...parts.values()]
      .flatMap(symbolsIn)
      .filter((symbol) => !isDeclared(symbol))
      .map((symbol) => `${id} names ${symbol}, which nothing declares`),
    ...scenarios
      .filter((name) => !known.scenarios.includes(name))
      .map((name) => `${id} names the scenario ${name}, which is not there`),
    ...(scenarios.length === 0 ? [`${id} names no scenario`] : []),
    ...canaries.filter((name) => !wanted.includes(name)).map((name) => `${id} names the canary ${name}, which does not break it`),
    ...wanted.filter((name) => !canaries.includes(name)).map((name) => `${id} lacks the canary ${name}`),
  ];
}
