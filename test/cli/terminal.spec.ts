import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { Terminal } from '../../src/cli/terminal.js';

/** Both ends of a terminal, with a person at it who types what is given. */
async function answerTo(typed: string, abort = new AbortController()): Promise<boolean> {
  const keyboard = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const spies = [
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(keyboard as unknown as typeof process.stdin),
    vi.spyOn(process, 'stderr', 'get').mockReturnValue(screen as unknown as typeof process.stderr),
  ];
  try {
    const answer = new Terminal(false, abort.signal).confirm('Delete 2 dead letters for good?', false);
    if (typed === 'SIGINT') abort.abort();
    else keyboard.write(typed);
    return await answer;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('a question at a terminal', () => {
  it.each([
    ['y\r', true],
    ['yes\r', true],
    ['n\r', false],
    ['\r', false],
    ['y\x03', false],
    ['\x04', false],
    ['SIGINT', false],
  ])('that is answered with %j is %j', async (typed, agreed) => {
    expect(await answerTo(typed)).toBe(agreed);
  });

  it('is not asked after a SIGINT', async () => {
    const abort = new AbortController();
    abort.abort();
    expect(await answerTo('y\r', abort)).toBe(false);
  });
});
