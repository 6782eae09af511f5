/**
 * Guards of the Redis scripts. Each canary changes the text of a script in one place. The core that runs in lockstep stays
 * unchanged, so the run must report that the script returns or stores something else.
 */
import type { Scripts } from '../lua/lockstep.js';
import type { Canary } from './canary.js';

type Which = keyof Scripts;

const BOTH: readonly Which[] = ['batch', 'control'];

/** Returns the scripts with `to` in place of `from`. Throws unless `from` occurs exactly once in each. */
function rewritten(scripts: Scripts, which: readonly Which[], from: string, to: string): Scripts {
  const changed = which.map((name): [Which, string] => {
    const [before, after, ...more] = spaced(scripts[name]).split(from);
    if (before === undefined || after === undefined || more.length > 0)
      throw new Error(
        `the ${name} script must have this once, and has it ${more.length + (after === undefined ? 0 : 1)} times: ${from}`,
      );
    return [name, before + to + after];
  });
  return { ...scripts, ...Object.fromEntries(changed) };
}

/** Joins the lines of a script, since the generator may break a line at any space. */
const spaced = (script: string): string => script.replaceAll('\n', ' ');

const mutant = (name: string, does: string, which: readonly Which[], from: string, to: string): Canary => ({
  name: `lua-${name}`,
  does,
  expected: ['lua'],
  scripts: (scripts) => rewritten(scripts, which, from, to),
});

export const LUA_CANARIES: readonly Canary[] = [
  mutant(
    'plain-claim-keeps-fence',
    'plain.lua: a claim gives no new fence',
    ['batch'],
    'fence, claimed = fence + 1, claimed + 1',
    'claimed = claimed + 1',
  ),
  mutant(
    'plain-depth-leaks',
    'plain.lua: a finish leaves the depth as it is',
    ['batch'],
    'depth, nmsgDel = depth - 1, nmsgDel + 1',
    'nmsgDel = nmsgDel + 1',
  ),
  mutant('claim-keeps-fence', 'claim.lua: a claim gives no new fence', ['batch'], 'fence = fence + 1 e.owner', 'e.owner'),
  mutant(
    'begin-in-hold',
    'begin.lua: a head begins although its entity is held',
    ['batch'],
    "if is_held(e) then return refuse('HELD', e.hold) end",
    '',
  ),
  mutant(
    'active-leaks',
    'letter.lua: the last message of an entity leaves it active',
    BOTH,
    "if e.running == '0' and e.first == e.tail then active = active - 1 end",
    '',
  ),
  mutant(
    'id-unkept',
    'append.lua: the id of a caller is not kept',
    BOTH,
    "if id then set_kept(e.key .. RS .. id, s, digest, 'live', '0', '', '') end",
    '',
  ),
  mutant(
    'no-hold',
    'takeover.lua: an entity that is taken over is not held',
    ['batch'],
    'local holdUntil = now + holdMs',
    'local holdUntil = now',
  ),
  mutant(
    'withdraw-without-hole',
    'withdraw.lua: what is taken back from the middle is still counted',
    ['batch'],
    'if int(e.first + 1) == s then e.first = s else e.holes = int(e.holes + 1) end',
    'if int(e.first + 1) == s then e.first = s end',
  ),
  mutant(
    'late-without-detail',
    'late.lua: a late note loses what the handler said',
    ['batch'],
    'f[6], f[7] = outcome, detail',
    'f[6] = outcome',
  ),
  mutant(
    'expire-keeps',
    'expire.lua: what is past its time leaves the queue of what expires, and nothing else',
    ['batch'],
    "kept[member] = false call('HDEL', KEPT, member)",
    'kept[member] = false',
  ),
  mutant(
    'ready-stays',
    'flush.lua: an entity that has begun stays among those that can begin',
    BOTH,
    "write('ZREM', READY, readyDel)",
    '',
  ),
  mutant(
    'retry-uncounted',
    'retry.lua: the next attempt has the number of the last one',
    ['batch'],
    'again(message_of(key, s), int(attempt + 1), int(notBefore), why)',
    'again(message_of(key, s), attempt, int(notBefore), why)',
  ),
  mutant(
    'one-answer-kept',
    'session.lua: the answer of the batch before the last is overwritten',
    ['batch'],
    "session .. ':' .. format('%.0f', number % 2)",
    "session .. ':0'",
  ),
  mutant(
    'heartbeat-uncounted',
    'heartbeat.lua: the number of a heartbeat is not kept',
    ['control'],
    'm[7], m[8] = number, int(now + leaseTtl)',
    'm[8] = int(now + leaseTtl)',
  ),
  mutant(
    'epoch-of-the-group',
    'lead.lua: a renewal takes an epoch too',
    ['control'],
    "epoch = epoch or int(call('HINCRBY', META, 'epoch', '1'))",
    "epoch = int(call('HINCRBY', META, 'epoch', '1'))",
  ),
  mutant(
    'session-stays',
    'leave.lua: the session of a member that has ended goes on',
    ['control'],
    "call('HDEL', META, session, session .. ':0', session .. ':1')",
    '',
  ),
  {
    ...mutant(
      'evict-leased',
      'evict.lua: a member is evicted within its lease',
      ['control'],
      "if m[8] + 0 > now then return refuse('NOT_LAPSED', m[8]) end",
      '',
    ),
    scenario: 'eviction-within-the-lease',
  },
  mutant(
    'evict-unsealed',
    'evict.lua: an evicted member stays as it was',
    ['control'],
    "refuse('BEATING', m[7]) end local bad = open_writes() if bad then return bad end seal(incarnation, m)",
    "refuse('BEATING', m[7]) end",
  ),
  mutant(
    'replay-again',
    'replay.lua: a dead letter does not say that it was replayed',
    ['control'],
    'f[8] = newId set_letter',
    'set_letter',
  ),
  mutant(
    'letter-found-after-purge',
    'purge.lua: a late note finds a letter that is gone',
    ['control'],
    "call('HDEL', DLQOF, f[1] .. RS .. f[9] .. RS .. f[11])",
    '',
  ),
  {
    // The core does not know of a key that a fault deletes from the store, so the run continues on the scripts alone.
    ...mutant(
      'lost-entity-unseen',
      'audit.lua: an entity that is gone from the log is not missed',
      ['control'],
      "need('ent', rows and call('HLEN', ENT) >= active)",
      '',
    ),
    expected: ['L1'],
  },
];
