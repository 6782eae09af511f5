/**
 * Detects message class names that a minifier made. The next build may give the class another name, or give the name to another
 * class. A message that waits in the log would then run as another message (docs/decisions/029).
 *
 * Minifiers assign the shortest identifiers first. A bundle has some thousands of them, so they have one to three characters.
 * A name of three letters that reads as a word (Pay, ACH) counts as chosen by a person, so a few minified names are missed.
 */
import type { ResolvedConfig } from '../core/config/types.js';
import { metadata } from './metadata.js';

const WORD_OF_THREE = /^(?:[A-Za-z][a-z]{2}|[A-Z]{3})$/;
/** Names that compilers give to a decorated class without a name. */
const COMPILER_MADE = /^_?class_?\d*$/;
/** A class head without a space before the brace. Every formatter and compiler puts one there, minifiers do not. */
const WITHOUT_SPACE = /^class(?:\s[\w$]+)?(?:\sextends[^{]*[^\s{])?\{/;

/** Returns true for one or two characters, three that form no word, `class_1` and `_class2`. Ignores leading `_` and `$`. */
export function looksMinified(name: string): boolean {
  const bare = name.replace(/^[_$]+/, '');
  return bare.length <= 2 || (bare.length === 3 && !WORD_OF_THREE.test(bare)) || COMPILER_MADE.test(name);
}

/** Returns true if the message takes the name of its class and that name looks minified. */
export const takesMinifiedName = (messageClass: object): boolean =>
  metadata.givenNameOf(messageClass) === undefined && looksMinified(metadata.nameOf(messageClass));

/** Returns true if the source text of the class is minified too, so no person chose the name. */
export const isSurelyMinified = (messageClass: object): boolean =>
  takesMinifiedName(messageClass) && WITHOUT_SPACE.test(Function.prototype.toString.call(messageClass));

/** Returns true if logged messages survive until the next build. Names must then stay the same. */
export const outlivesBuild = ({ store, wal }: ResolvedConfig): boolean => store === 'redis' && wal.enabled;

export const howToName = (type: string): string => `name it with @EntityType('${type}', { name: '...' })`;

export const minifiedNotice = (type: string, name: string): string =>
  `the name of message "${name}" of entity type "${type}" looks minified: the next build may give it to another class, and what waits in the log would run as that one; ${howToName(type)}, or keep class names in the build`;
