/**
 * Whether the name of a message class was made by a minifier. Such a name is another one after the next build, or worse, the
 * same name for another class: what waits in the log would then run as another message (docs/decisions/029).
 *
 * Minifiers hand out the shortest identifiers first, and a bundle has some thousands of them: one to three characters. A name of
 * three letters that reads as a word (Pay, ACH) is taken for one, so a few minified names are missed.
 */
import type { ResolvedConfig } from '../core/config/types.js';
import { metadata } from './metadata.js';

const WORD_OF_THREE = /^(?:[A-Za-z][a-z]{2}|[A-Z]{3})$/;
/** What compilers put where a decorated class has no name of its own. */
const COMPILER_MADE = /^_?class_?\d*$/;
/** The head of a class without the space that every formatter and compiler puts before the brace. */
const WITHOUT_SPACE = /^class(?:\s[\w$]+)?(?:\sextends[^{]*[^\s{])?\{/;

/** True for one or two characters, three that are no word, `class_1` and `_class2`; `_` and `$` before them do not count. */
export function looksMinified(name: string): boolean {
  const bare = name.replace(/^[_$]+/, '');
  return bare.length <= 2 || (bare.length === 3 && !WORD_OF_THREE.test(bare)) || COMPILER_MADE.test(name);
}

/** True if the message is named by its class, whose name looks minified. */
export const takesMinifiedName = (messageClass: object): boolean =>
  metadata.givenNameOf(messageClass) === undefined && looksMinified(metadata.nameOf(messageClass));

/** True if the text of that class is minified too: then no person chose the name. */
export const isSurelyMinified = (messageClass: object): boolean =>
  takesMinifiedName(messageClass) && WITHOUT_SPACE.test(Function.prototype.toString.call(messageClass));

/** True where messages wait for the next build: names have to be the same there. */
export const outlivesBuild = ({ store, wal }: ResolvedConfig): boolean => store === 'redis' && wal.enabled;

export const howToName = (type: string): string => `name it with @EntityType('${type}', { name: '...' })`;

export const minifiedNotice = (type: string, name: string): string =>
  `the name of message "${name}" of entity type "${type}" looks minified: the next build may give it to another class, and what waits in the log would run as that one; ${howToName(type)}, or keep class names in the build`;
