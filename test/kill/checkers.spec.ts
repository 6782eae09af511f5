import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkAll } from './checkers.js';
import { RecordWriter, readRecord } from './record.js';
import { ORDER, order, plan, Story, sound, stalled, withEffects } from './stories.js';
import { summaryOf } from './summary.js';
import { timelineOf } from './timeline.js';

describe('the checkers of the kill campaign', () => {
  it('find nothing in sound histories', () => {
    expect(sound().violations()).toEqual([]);
    const retried = new Story()
      .call(order('o'), '1.1')
      .start('o', 1, ORDER)
      .kill(1)
      .start('o', 1, { ...ORDER, run: 2, attempt: 2, fence: 2 })
      .end('o', 1, { ...ORDER, run: 2, attempt: 2, fence: 2, how: 'threw' })
      .ran('o', 1, { ...ORDER, run: 2, attempt: 3, fence: 2 });
    expect(retried.violations()).toEqual([]);
    const parent = plan('p', { sends: [plan('p/0', { entityId: 'a-2' })] });
    const sent = new Story().call(parent, '1.1').ran('p', 1).ran('p/0', 1, { entity: 'account:a-2' });
    expect(sent.violations()).toEqual([]);
    const withdrawn = new Story().call(plan('w'), '1.1', 1, 'withdrawn').error('1.1', 'REPLY_TIMEOUT', true);
    expect(withdrawn.violations()).toEqual([]);
    const neverLeft = new Story().call(plan('n'), '1.1', 1, 'absent').error('1.1', 'REPLY_TIMEOUT', true);
    expect(neverLeft.violations()).toEqual([]);
  });

  it('count what happened', () => {
    expect(summaryOf(sound().facts())).toEqual({
      ...{ kills: 1, messages: 2, completed: 1, failed: 0, interrupted: 1, withdrawn: 0, starts: 2, killedRunning: 1 },
      ...{ unknown: 2, resent: 2, retriedInterruptions: 0, excused: 0 },
    });
    expect(summaryOf(stalled().facts())).toMatchObject({ excused: 1, interrupted: 1, killedRunning: 0 });
  });

  const broken: readonly (readonly [name: string, story: Story, found: RegExp])[] = [
    ['a second start', sound().ran('x', 1, { run: 2, attempt: 2, fence: 2 }), /^I1 x was started 2 times/],
    [
      'an attempt that runs twice',
      new Story().call(order('o'), '1.1').ran('o', 1, ORDER).ran('o', 1, ORDER),
      /^I1 o .*started after/,
    ],
    [
      'an attempt after a completed one that no kill cut off',
      new Story()
        .call(order('o'), '1.1')
        .ran('o', 1, ORDER)
        .ran('o', 1, { ...ORDER, attempt: 2 }),
      /^I1 o .* had not failed/,
    ],
    [
      'a start after the result',
      new Story()
        .call(order('o'), '1.1')
        .ran('o', 1, ORDER)
        .result('1.1', 'o')
        .kill(1)
        .ran('o', 1, { ...ORDER, run: 2, attempt: 2, fence: 2 }),
      /^I1 o .*after a caller was told result/,
    ],
    [
      'a start after a definite failure',
      new Story().call(plan('x'), '1.1', 1, 'withdrawn').error('1.1', 'WITHDRAWN', true).ran('x', 1),
      /^I1 x .*told WITHDRAWN/,
    ],
    [
      'a message that is in the log twice',
      new Story()
        .call(order('o'), '1.1')
        .ran('o', 1, { ...ORDER, how: 'threw' })
        .ran('o', 2, { ...ORDER, attempt: 2 }),
      /^I1 o is in the log more than once/,
    ],
    ['a message that nobody sent', sound().ran('ghost', 9, { run: 2, fence: 2 }), /^I1 ghost seq 9 was never sent/],
    [
      'an overlap',
      new Story().call(plan('x'), '1.1').call(plan('y'), '1.2').start('x', 1).start('y', 2).end('x', 1).end('y', 2),
      /^I2 y .*while x/,
    ],
    [
      'an overlap across processes',
      new Story().call(plan('x'), '1.1').call(plan('y'), '2.1', 2).start('x', 1).start('y', 2, { run: 2, fence: 2 }).kill(1),
      /^I2 y .*while x/,
    ],
    ['an overlap with a stalled process whose lease was still good', stalled(3000, 100), /^I2 y .*while x/],
    [
      'a lower fence',
      new Story().call(plan('x'), '1.1').call(plan('y'), '1.2').ran('x', 1, { fence: 3 }).ran('y', 2, { fence: 2 }),
      /^I2f y/,
    ],
    [
      'one fence in two processes',
      new Story().call(plan('x'), '1.1').call(plan('y'), '2.1', 2).ran('x', 1).ran('y', 2, { run: 2 }),
      /^I2f y .*another process/,
    ],
    [
      'a start out of order',
      new Story().call(plan('x'), '1.1').call(plan('y'), '1.2').ran('y', 2).ran('x', 1),
      /^I3 x .*started after y/,
    ],
    [
      'calls of one process in another order',
      new Story().call(plan('x'), '1.1').call(plan('y'), '1.2').ran('y', 1).ran('x', 2),
      /^I3 y .*after x .*same process/,
    ],
    [
      'a log order against acknowledged calls',
      new Story().call(plan('x'), '1.1').receipt('1.1', 'x', 2).call(plan('y'), '2.1', 2).ran('y', 1).ran('x', 2),
      /^I3 y .*after x .* was acknowledged/,
    ],
    [
      'a receipt for what is gone',
      new Story().call(plan('x'), '1.1', 1, 'absent').receipt('1.1', 'x', 1),
      /^I4 x was accepted and is lost/,
    ],
    [
      'a receipt that says nothing true',
      new Story().call(plan('x'), '1.1', 1, 'absent').receipt('1.1', 'x', 1),
      /^I5 x got a receipt, but it is lost/,
    ],
    [
      'a completed message whose handler threw',
      new Story().call(plan('x'), '1.1').ran('x', 1, { how: 'threw' }),
      /^I4 x is completed, but its last handler did not end well/,
    ],
    [
      'a message that stays',
      new Story().call(plan('x'), '1.1', 1, 'live').receipt('1.1', 'x', 1),
      /^I4 x was accepted and is lost/,
    ],
    [
      'a message of a generated id that is gone',
      new Story().call(plan('x'), '1.1', 1, 'id made by the library').receipt('1.1', 'x', 1),
      /^I4 x was accepted and is lost/,
    ],
    [
      'what ran at the kill without a letter',
      new Story().call(plan('x'), '1.1', 1, 'id made by the library').start('x', 1).kill(1),
      /^I4 x .*running at the kill/,
    ],
    [
      'what ran at the kill and counts as completed',
      new Story().call(plan('x'), '1.1').start('x', 1).kill(1),
      /^I4 x .*running at the kill/,
    ],
    ['two letters', sound().letter('y', 2, 'interrupted'), /^I4 y has 2 dead letters/],
    [
      'a letter of another reason',
      new Story().call(plan('x'), '1.1', 1, 'failed').ran('x', 1, { how: 'threw' }).letter('x', 1, 'interrupted'),
      /^I4 x is failed, but its dead letter says/,
    ],
    [
      'a failure without a letter',
      new Story().call(plan('x'), '1.1', 1, 'failed').ran('x', 1, { how: 'threw' }),
      /^I4 x is failed and has no/,
    ],
    [
      'a failure of a handler that ended well',
      new Story().call(plan('x'), '1.1', 1, 'failed').ran('x', 1).letter('x', 1, 'failed'),
      /^I4 x is failed, but its last handler did not throw/,
    ],
    [
      'a letter before the last attempt',
      new Story()
        .call(order('o'), '1.1', 1, 'interrupted')
        .start('o', 1, ORDER)
        .kill(1)
        .letter('o', 1, 'interrupted', 1, 'order:o-1'),
      /^I4 o became a dead letter at attempt 1/,
    ],
    [
      'an interruption without a kill',
      new Story().call(plan('x'), '1.1', 1, 'interrupted').ran('x', 1).letter('x', 1, 'interrupted'),
      /^I4 x is interrupted, but .* neither killed nor stalled/,
    ],
    [
      'an interruption after a long stall',
      new Story()
        .call(plan('x'), '1.1', 1, 'interrupted')
        .sleep(300)
        .add({ kind: 'stall', run: 1, forMs: 300 })
        .ran('x', 1)
        .letter('x', 1, 'interrupted'),
      /^I4 x is interrupted, but .* neither killed nor stalled/,
    ],
    [
      'an interruption before a long stall',
      new Story()
        .call(plan('x'), '1.1', 1, 'interrupted')
        .ran('x', 1)
        .letter('x', 1, 'interrupted')
        .sleep(300)
        .add({ kind: 'stall', run: 1, forMs: 300 }),
      /^I4 x is interrupted, but .* neither killed nor stalled/,
    ],
    ['a handler that never ends', new Story().call(plan('x'), '1.1').start('x', 1), /^I4 x .*never ended/],
    [
      'a definite timeout of what completed',
      new Story().call(plan('x'), '1.1', 1, 'completed').error('1.1', 'REPLY_TIMEOUT', true).ran('x', 1),
      /^I5 a caller of x was told REPLY_TIMEOUT, but it is completed/,
    ],
    [
      'a withdrawn message that ran',
      new Story().call(plan('x'), '1.1', 1, 'withdrawn').ran('x', 1),
      /^I4 x is withdrawn, but it was started/,
    ],
    [
      'a send that is lost',
      new Story().call(plan('p', { sends: [plan('p/0')] }), '1.1').ran('p', 1),
      /^I4 p\/0 was accepted and is lost/,
    ],
    [
      'a send of a handler that failed',
      new Story()
        .call(plan('p', { sends: [plan('p/0')] }), '1.1', 1, 'failed')
        .ran('p', 1, { how: 'threw' })
        .letter('p', 1, 'failed')
        .ran('p/0', 2),
      /^I4 p\/0 was sent, though its sender p is failed/,
    ],
    [
      'a result of what failed',
      new Story().call(plan('x'), '1.1', 1, 'failed').ran('x', 1, { how: 'threw' }).letter('x', 1, 'failed').result('1.1', 'x'),
      /^I5 x got a result, but it is failed/,
    ],
    [
      'a result before its handler ended',
      new Story().call(plan('x'), '1.1').result('1.1', 'x').ran('x', 1),
      /^I5 x got a result before/,
    ],
    [
      'the result of another message',
      new Story().call(plan('x'), '1.1').ran('x', 1).result('1.1', 'y'),
      /^I5 x got the result of y/,
    ],
    [
      'a failure told of what completed',
      new Story().call(plan('x'), '1.1').ran('x', 1).error('1.1', 'HANDLER_FAILED', false),
      /^I5 .* told HANDLER_FAILED, but it is completed/,
    ],
    [
      'a definite refusal of what ran',
      new Story().call(plan('x'), '1.1').error('1.1', 'STORE_UNAVAILABLE', true).ran('x', 1),
      /^I5 x was refused definitely/,
    ],
    [
      'two receipts that differ',
      new Story().call(plan('x'), '1.1').receipt('1.1', 'x', 1).call(plan('x'), '1.2').receipt('1.2', 'x', 2).ran('x', 1),
      /^I5 x: receipts and log disagree/,
    ],
    [
      'an error nobody should see',
      new Story().call(plan('x'), '1.1', 1, 'absent').error('1.1', 'STORE_LOST', false),
      /^I5 .* told STORE_LOST/,
    ],
    [
      'an effect of nobody',
      withEffects(sound(), { entity: 'account:a-9', ref: 'x', run: 1, seq: 1, attempt: 1, fence: 9 }),
      /^I1 the effect of x .* no such handler/,
    ],
    [
      'an effect twice',
      withEffects(sound(), { entity: 'account:a-1', ref: 'x', run: 1, seq: 1, attempt: 1, fence: 1 }),
      /^I1 the effect of x .* is there twice/,
    ],
    [
      'effects out of order',
      withEffects(
        new Story().call(plan('x'), '1.1').call(plan('y'), '1.2').ran('y', 2),
        ...[{ entity: 'account:a-1', ref: 'x', run: 1, seq: 1, attempt: 1, fence: 1 }],
      ),
      /^I3 the effect of x .* landed after the effect of y/,
    ],
    [
      'an effect of a lower fence',
      withEffects(stalled(), { entity: 'account:a-1', ref: 'x', run: 1, seq: 1, attempt: 1, fence: 1 }),
      /^I2f the effect of x .* landed after the effect of y/,
    ],
    [
      'an effect that was refused and is there',
      withEffects(stalled(), { entity: 'account:a-1', ref: 'x', run: 1, seq: 1, attempt: 1, fence: 1 }),
      /^I2f x was refused by the fence, and its effect is there/,
    ],
    [
      'a completed message without its effect',
      Object.assign(new Story().call(plan('x'), '1.1').ran('x', 1), { effects: [] }),
      /^I4 x is completed, and its effect is not there/,
    ],
    ['a process that was fenced off though it was well', stalled(100), /^I2 x was refused by the fence, .* was well/],
    ['an interruption without a kill or a long stall', stalled(100), /^I4 x is interrupted, but .* neither killed nor stalled/],
    ['a depth that is not zero', Object.assign(sound(), { depth: -1 }), /^I7 -1 messages/],
    ['an entity that stays active', Object.assign(sound(), { depth: 1 }), /^I7 1 entities count as active/],
    ['a letter that is only counted', Object.assign(sound(), { zombieLetters: 1 }), /^I7 2 letters counted, 1 listed/],
    ['a member that never left', Object.assign(sound(), { members: 1 }), /^I7 1 members/],
    [
      'a contradiction in the log of the library',
      sound().add({ kind: 'logged', run: 2, level: 'error', text: 'loop-failed loop=worker' }),
      /^campaign run 2 logged/,
    ],
    [
      'a process that ends by itself',
      sound().add({ kind: 'exit', run: 2, killed: false, code: 1 }),
      /^campaign run 2 ended by itself/,
    ],
    [
      'kills that met nothing',
      Array.from({ length: 10 }).reduce<Story>((story, _, index) => story.kill(index + 1), new Story()),
      /^campaign no handler ran at any of 10 kills/,
    ],
  ];
  it.each(broken)('find %s', (_name, story, found) => {
    expect(story.violations()).toContainEqual(expect.stringMatching(found));
  });

  it('excuse the overlap, the interruption and the refusal of a handler whose process stood still past its lease', () => {
    expect(stalled().violations()).toEqual([]);
    expect(stalled(200).violations()).toContainEqual(expect.stringMatching(/^I2 y/));
  });

  it('tell what happened to the entity around the violation', () => {
    const facts = sound().ran('x', 1, { run: 2, attempt: 2, fence: 2 }).facts();
    const violation = checkAll(facts).find(({ invariant }) => invariant === 'I1');
    expect(violation).toBeDefined();
    const lines = timelineOf(facts, violation as NonNullable<typeof violation>);
    expect(lines.filter((line) => line.startsWith('>')).map((line) => line.replace(/.*run/, 'run').trim())).toEqual([
      'run 1  invoke x enqueue to account:a-1 with id x',
      'run 1  told   x receipt 1',
      'run 1  start  x seq 1 attempt 1 fence 1',
      'run 1  end    x seq 1 attempt 1 fence 1 ok',
      'run 2  invoke x enqueue to account:a-1 with id x',
      'run 2  told   x receipt 1',
      'run 2  start  x seq 1 attempt 2 fence 2',
      'run 2  end    x seq 1 attempt 2 fence 2 ok',
    ]);
    expect(lines.some((line) => line.includes('kill -9'))).toBe(true);
  });
});

describe('the record', () => {
  it('reads back what was written, leaves out the line that the kill tore, and refuses any other damage', () => {
    const dir = mkdtempSync(join(tmpdir(), 'aq-record-'));
    try {
      const path = join(dir, 'run.jsonl');
      const torn = new RecordWriter(path, 1);
      torn.write({ kind: 'boot', serverId: 'a' });
      torn.close();
      writeFileSync(path, '{"kind":"st', { flag: 'a' });
      const after = new RecordWriter(path, 1);
      after.breakLine();
      after.write({ kind: 'exit', killed: true, code: null });
      expect(readRecord(path).map(({ kind }) => kind)).toEqual(['boot', 'exit']);
      after.write({ kind: 'ready' });
      after.close();
      expect(() => readRecord(path)).toThrow(/run.jsonl:2 is no event/);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
