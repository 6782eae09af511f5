/** Names for generated code: identifiers from any text, each once. */

/** Globals that a class of that name would hide. No reserved word begins with a capital. */
const TAKEN = new Set(
  'Array Boolean Date Error Function Map Number Object Partial Promise Readonly Record RegExp Set String Symbol'.split(' '),
);

export const isIdentifier = (text: string): boolean => /^[A-Za-z_$][\w$]*$/.test(text);

/** An identifier with a capital, as near to `text` as there is. */
export function pascal(text: string): string {
  const plain = text.replace(/[^\w$]+(.)?/g, (_, next: string | undefined) => (next ?? '').toUpperCase());
  const valid = /^[A-Za-z_$]/.test(plain) ? plain : `_${plain}`;
  const name = valid.charAt(0).toUpperCase() + valid.slice(1);
  return TAKEN.has(name) ? `${name}_` : name;
}

/** Gives each name once; a second one gets a number. */
export class Names {
  readonly #given = new Set<string>();

  constructor(taken: Iterable<string> = []) {
    for (const name of taken) this.#given.add(name);
  }

  /** `suffixes`: all of `name + suffix` are taken with it. */
  take(wanted: string, suffixes: readonly string[] = ['']): string {
    for (let n = 1; ; n++) {
      const name = n === 1 ? wanted : `${wanted}${n}`;
      if (suffixes.some((suffix) => this.#given.has(name + suffix))) continue;
      for (const suffix of suffixes) this.#given.add(name + suffix);
      return name;
    }
  }
}

/** Names of files: file systems that know no case must not make one of two. */
export class FileNames {
  readonly #names = new Names(['index']);
  readonly #chosen = new Map<string, string>();

  of(type: string): string {
    let name = this.#chosen.get(type);
    if (name === undefined) {
      const safe = type.replace(/^\.+/, '_');
      const taken = this.#names.take(safe.toLowerCase());
      name = safe + taken.slice(safe.length);
      this.#chosen.set(type, name);
    }
    return name;
  }
}
