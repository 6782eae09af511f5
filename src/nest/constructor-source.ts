/**
 * Finds the property that a constructor fills from one of its parameters, by reading the class's source text.
 *
 * A parameter decorator receives the parameter's index only. TypeScript erases the fact that `readonly id: string` in a
 * constructor also declares a property, but the emitted code contains the assignment `this.id = id`. Minifiers rename the
 * parameter but not the property, so the assignment survives them. If the constructor only passes the parameter on (`super(id)`),
 * the property is assumed to have the parameter's name.
 *
 * The scanner is not a JavaScript parser. It recognizes strings, templates, comments, brackets, and most regular expressions.
 */

interface Token {
  readonly text: string;
  /** Number of open brackets around the token. An opening bracket and its closing bracket have the same depth. */
  readonly depth: number;
}

const WORD = /[\w$\u0080-\uffff#]/;
const DIVISION_FOLLOWS = /^[\w$\u0080-\uffff)\]}'"`]$/;
const KEYWORD_BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'void', 'delete', 'throw', 'new', 'else', 'do']);

class Scanner {
  readonly tokens: Token[] = [];
  private at = 0;
  private depth = 0;

  constructor(private readonly source: string) {}

  scan(): readonly Token[] {
    while (this.at < this.source.length) this.step();
    return this.tokens;
  }

  private step(): void {
    const c = this.source[this.at]!;
    if (/\s/.test(c)) this.at++;
    else if (c === '/' && this.source[this.at + 1] === '/') this.skipTo('\n');
    else if (c === '/' && this.source[this.at + 1] === '*') this.skipTo('*/');
    else if (c === "'" || c === '"') this.string(c);
    else if (c === '`') this.template();
    else if (c === '/' && this.startsRegex()) this.regex();
    else if (WORD.test(c)) this.word();
    else this.sign(c);
  }

  private push(text: string): void {
    this.tokens.push({ text, depth: this.depth });
  }

  private skipTo(end: string): void {
    const found = this.source.indexOf(end, this.at + 2);
    this.at = found === -1 ? this.source.length : found + end.length;
  }

  private string(quote: string): void {
    const start = this.at++;
    while (this.at < this.source.length && this.source[this.at] !== quote) this.at += this.source[this.at] === '\\' ? 2 : 1;
    this.at++;
    this.push(this.source.slice(start, this.at));
  }

  /** Reads a template as one token. The code in its `${}` is scanned only to find its end. */
  private template(): void {
    this.at++;
    while (this.at < this.source.length && this.source[this.at] !== '`') {
      if (this.source.startsWith('${', this.at)) this.templateCode();
      else this.at += this.source[this.at] === '\\' ? 2 : 1;
    }
    this.at++;
    this.push('``');
  }

  private templateCode(): void {
    const inner = new Scanner(this.source);
    inner.at = this.at + 1;
    do inner.step();
    while (inner.depth > 0 && inner.at < this.source.length);
    this.at = inner.at;
  }

  private startsRegex(): boolean {
    const before = this.tokens.at(-1)?.text;
    if (before === undefined || KEYWORD_BEFORE_REGEX.has(before)) return true;
    return !DIVISION_FOLLOWS.test(before.at(-1)!);
  }

  private regex(): void {
    this.at++;
    let inClass = false;
    while (this.at < this.source.length) {
      const c = this.source[this.at]!;
      if (c === '/' && !inClass) break;
      if (c === '[') inClass = true;
      if (c === ']') inClass = false;
      this.at += c === '\\' ? 2 : 1;
    }
    this.at++;
    this.push('/regex/');
  }

  private word(): void {
    const start = this.at;
    while (this.at < this.source.length && WORD.test(this.source[this.at]!)) this.at++;
    this.push(this.source.slice(start, this.at));
  }

  private sign(c: string): void {
    if ('({['.includes(c)) {
      this.push(c);
      this.depth++;
    } else if (')}]'.includes(c)) {
      this.depth--;
      this.push(c);
    } else if (c === '=' && '=>'.includes(this.source[this.at + 1] ?? ' ')) {
      // "==", "===" and "=>" are not assignments.
      this.push(this.source.slice(this.at, this.at + 2));
      this.at++;
    } else this.push(c);
    this.at++;
  }
}

const IDENTIFIER = /^[A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*$/;

/** Returns the index of the bracket that closes the one at `open`, or -1. */
function closing(tokens: readonly Token[], open: number): number {
  const depth = tokens[open]!.depth;
  for (let i = open + 1; i < tokens.length; i++) if (tokens[i]!.depth === depth && ')}]'.includes(tokens[i]!.text)) return i;
  return -1;
}

/** Returns the index of the "(" before the constructor's parameters, in a class or in a function compiled from one, or -1. */
function parametersStart(tokens: readonly Token[]): number {
  if (tokens[0]?.text === 'function') return tokens.findIndex(({ text }) => text === '(');
  const bodyDepth = 1;
  for (let i = 1; i < tokens.length - 1; i++) {
    const isMember = tokens[i]!.depth === bodyDepth && /^(constructor|'constructor'|"constructor")$/.test(tokens[i]!.text);
    const before = tokens[i - 1]!.text;
    if (isMember && tokens[i + 1]!.text === '(' && /^[{};]$/.test(before)) return i + 1;
    // A field without a semicolon may precede the constructor. A call or read of a "constructor" follows one of these tokens.
    if (isMember && tokens[i + 1]!.text === '(' && !/^[.=(,&|?:+!-]$|^(new|static|get|set|async)$/.test(before)) return i + 1;
  }
  return -1;
}

/** Returns the tokens of the parameter at `index`, without its default value. */
function parameterAt(tokens: readonly Token[], start: number, end: number, index: number): readonly Token[] {
  const depth = tokens[start]!.depth + 1;
  let seen = 0;
  const found: Token[] = [];
  let isDefault = false;
  for (let i = start + 1; i < end; i++) {
    const token = tokens[i]!;
    if (token.depth === depth && token.text === ',') {
      seen++;
      isDefault = false;
    } else if (seen === index) {
      if (token.depth === depth && token.text === '=') isDefault = true;
      if (!isDefault) found.push(token);
    }
  }
  return found;
}

/** Returns the properties that the constructor's body sets with `this.property = parameter`. */
function assignedFrom(body: readonly Token[], parameter: string): readonly string[] {
  const found: string[] = [];
  for (let i = 0; i + 4 < body.length + 1; i++) {
    const [self, dot, property, equals, value] = body.slice(i, i + 5).map(({ text }) => text);
    if (self !== 'this' || dot !== '.' || equals !== '=' || value !== parameter || !IDENTIFIER.test(property!)) continue;
    const after = body[i + 5]?.text;
    // `this.a = id.trim()` and `id + 1` assign other values. Without a semicolon, the next statement starts with a word.
    if (after === undefined || /^[;,})]$/.test(after) || WORD.test(after[0]!)) found.push(property!);
  }
  return found;
}

export type ParameterProperty = { readonly property: string } | { readonly why: string };

/** Returns the property that the constructor of `source` (a class's text) fills from parameter `index`, or why none was found. */
export function propertyOfParameter(source: string, index: number): ParameterProperty {
  const tokens = new Scanner(source).scan();
  const start = parametersStart(tokens);
  const end = start === -1 ? -1 : closing(tokens, start);
  if (end === -1) return { why: 'the source of its constructor cannot be read' };
  const parameter = parameterAt(tokens, start, end, index);
  const [name, ...rest] = parameter;
  if (name === undefined) return { why: `its constructor has no parameter ${index + 1}` };
  if (rest.length > 0 || !IDENTIFIER.test(name.text)) {
    return { why: `parameter ${index + 1} of its constructor is no plain name` };
  }
  const bodyEnd = tokens[end + 1] === undefined ? end : closing(tokens, end + 1);
  const properties = assignedFrom(tokens.slice(end + 1, bodyEnd + 1), name.text);
  return { property: properties.includes(name.text) ? name.text : (properties[0] ?? name.text) };
}
