/**
 * Reads the MONITOR stream of a Redis: every command that it runs, in order, including those inside scripts. Commands that were
 * refused are not in the stream.
 */
import { connect, type Socket } from 'node:net';

export interface MonitorLine {
  /** Wall-clock time of the server, in ms. */
  readonly wallMs: number;
  readonly isLua: boolean;
  readonly args: readonly string[];
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, a: 7, b: 8, '"': 34, '\\': 92 };

/** Returns the quoted arguments of a line, from `at` on. */
function argsOf(line: string, at: number): string[] {
  const args: string[] = [];
  for (let i = line.indexOf('"', at); i >= 0; i = line.indexOf('"', i + 1)) {
    const end = endOf(line, i + 1);
    const text = line.slice(i + 1, end);
    args.push(text.includes('\\') ? unescaped(text) : text);
    i = end;
  }
  return args;
}

function endOf(line: string, from: number): number {
  for (let i = from; i < line.length; i++) {
    if (line[i] === '\\') i++;
    else if (line[i] === '"') return i;
  }
  throw new Error(`MONITOR sent a line with an open quote: ${line.slice(0, 200)}`);
}

function unescaped(text: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c !== '\\') bytes.push(text.charCodeAt(i));
    else if (text[i + 1] === 'x') {
      bytes.push(Number.parseInt(text.slice(i + 2, i + 4), 16));
      i += 3;
    } else bytes.push(ESCAPES[text[++i] as string] as number);
  }
  return Buffer.from(bytes).toString('utf8');
}

/** Parses one line. Returns undefined for a line that is no command: the +OK of MONITOR itself. */
export function parseMonitorLine(line: string): MonitorLine | undefined {
  const match = /^\+(\d+\.\d+) \[\d+ (\S+)\] /.exec(line);
  if (match === null) return undefined;
  const [head, seconds, source] = match as unknown as [string, string, string];
  return { wallMs: Number(seconds) * 1000, isLua: source === 'lua', args: argsOf(line, head.length) };
}

/** A MONITOR connection to one server, which lasts until that server ends. */
export class Monitor {
  readonly #socket: Socket;
  #rest = '';
  readonly #marks = new Map<string, () => void>();
  #isClosed = false;

  /** `onLost` is called when the server ends the connection. The commands that it runs from then on are unknown. */
  private constructor(socket: Socket, onLine: (line: MonitorLine) => void, onLost: () => void) {
    this.#socket = socket;
    socket.once('close', () => this.#isClosed || onLost());
    socket.on('error', () => undefined);
    // Latin 1 keeps bytes as they are; MONITOR escapes all that is not ASCII.
    socket.setEncoding('latin1').on('data', (chunk: string) => this.#take(chunk, onLine));
  }

  /** Resolves when the server has begun to report. */
  static async open(host: string, port: number, onLine: (line: MonitorLine) => void, onLost: () => void): Promise<Monitor> {
    const socket = connect(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => socket.write('MONITOR\r\n'));
      socket.once('data', (data: Buffer) => {
        socket.off('error', reject);
        if (data.toString().startsWith('+OK')) resolve();
        else reject(new Error(`MONITOR answered ${data.toString().trim()}`));
      });
    });
    return new Monitor(socket, onLine, onLost);
  }

  #take(chunk: string, onLine: (line: MonitorLine) => void): void {
    const lines = (this.#rest + chunk).split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const text of lines) {
      const line = parseMonitorLine(text);
      if (line === undefined) continue;
      const [command = '', mark = ''] = line.args;
      if (command.toLowerCase() === 'echo') this.#marks.get(mark)?.();
      else onLine(line);
    }
  }

  /** Resolves when everything that the server did before the ECHO of this mark has been reported. */
  seen(mark: string): Promise<void> {
    return new Promise((resolve) => this.#marks.set(mark, resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}
