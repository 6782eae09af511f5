/** The names in the first column of a page's tables, without their backticks, in order. */
export function firstColumn(markdown: string): readonly string[] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => (line.split('|')[1] ?? '').trim())
    .filter((name, i, all) => !/^:?-+:?$/.test(name) && !/^:?-+:?$/.test(all[i + 1] ?? ''))
    .map((name) => name.replaceAll('`', ''));
}

/** What is in one list and not in the other, as sentences. */
export function differences(have: readonly string[], want: readonly string[], where: string): readonly string[] {
  const doubled = have.filter((name, i) => have.indexOf(name) !== i);
  return [
    ...want.filter((name) => !have.includes(name)).map((name) => `${where} lacks ${name}`),
    ...have.filter((name) => !want.includes(name)).map((name) => `${where} has ${name}, which nothing else knows`),
    ...doubled.map((name) => `${where} has ${name} twice`),
  ];
}

const INVARIANT_ID = /(?<![\w$.])(?:I[1-9]f?|L[1-9])(?![\w$])/g;

/** The invariant ids that a text names. */
export const invariantIdsIn = (text: string): readonly string[] => [...new Set(text.match(INVARIANT_ID) ?? [])].sort();
