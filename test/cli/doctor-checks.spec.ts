import { describe, expect, it } from 'vitest';
import { type Facts, judge } from '../../src/cli/doctor-checks.js';

const INFO = {
  ...{ redis_version: '7.0.15', redis_mode: 'standalone', role: 'master', aof_enabled: '1', aof_last_write_status: 'ok' },
  ...{ rdb_last_bgsave_status: 'ok', maxmemory: '1000', used_memory: '100', connected_slaves: '0', master_repl_offset: '0' },
};

const facts = (info: Readonly<Record<string, string>> = {}, more: Partial<Facts> = {}): Facts => ({
  info: new Map(Object.entries({ ...INFO, ...info })),
  config: new Map([
    ['maxmemory-policy', 'noeviction'],
    ['appendfsync', 'everysec'],
  ]),
  ...{ clockOffsetMs: 3, clockBackMs: 0, roundTripMs: 0.2, foreignKeys: [], ownKeys: 4, scriptFault: undefined },
  ...{ keyPrefix: 'aq', channelFault: undefined },
  ...{ generation: 'g', schema: '1' },
  ...more,
});

const faultsOf = (given: Facts): readonly string[] =>
  judge(given)
    .filter(({ level }) => level !== 'ok')
    .map(({ check, level }) => `${level} ${check}`);

const config = (policy: string, fsync: string): Partial<Facts> => ({
  config: new Map([
    ['maxmemory-policy', policy],
    ['appendfsync', fsync],
  ]),
});

const replica = (lag: string) => ({ connected_slaves: '1', master_repl_offset: '2000000', slave0: `ip=h,port=1,${lag}` });

describe('a Redis', () => {
  it('that is well has no faults, and each danger says what it endangers', () => {
    expect(faultsOf(facts())).toEqual([]);
    const all = judge(facts({ role: 'slave', aof_enabled: '0' }, { scriptFault: 'NOPERM', foreignKeys: ['a (set)'] }));
    expect(all.filter(({ level, endangers }) => level !== 'ok' && endangers === '')).toEqual([]);
  });

  it.each<[string, Facts, readonly string[]]>([
    ['is old', facts({ redis_version: '5.0.1' }), ['fail version']],
    ['is older than what is tested', facts({ redis_version: '6.2.0' }), ['warn version']],
    ['says no version', facts({ redis_version: '' }), ['fail version']],
    ['is a cluster', facts({ redis_mode: 'cluster' }), ['warn mode']],
    ['is a replica', facts({ role: 'slave' }), ['fail role']],
    ['may evict', facts({}, config('volatile-ttl', 'everysec')), ['fail eviction']],
    ['forbids CONFIG, and says it by INFO', facts({ maxmemory_policy: 'allkeys-lfu' }, { config: undefined }), ['fail eviction']],
    ['forbids CONFIG, and says nothing', facts({}, { config: undefined }), ['warn eviction']],
    ['has no limit', facts({ maxmemory: '0' }), ['warn memory']],
    ['is nearly full', facts({ used_memory: '900' }), ['warn memory']],
    ['has no append-only file', facts({ aof_enabled: '0' }), ['warn persistence']],
    ['never syncs', facts({}, config('noeviction', 'no')), ['warn persistence']],
    ['cannot write', facts({ aof_last_write_status: 'err' }), ['fail disk']],
    ['cannot save', facts({ rdb_last_bgsave_status: 'err' }), ['fail disk']],
    ['has a good replica', facts(replica('state=online,offset=1999000,lag=0')), []],
    ['has one that is behind', facts(replica('state=online,offset=900000,lag=0')), ['warn replica']],
    ['has one that is silent', facts(replica('state=online,offset=2000000,lag=9')), ['warn replica']],
    ['has one that still loads', facts(replica('state=wait_bgsave,offset=2000000,lag=0')), ['warn replica']],
    ['has nothing under the prefix', facts({}, { generation: '', schema: '' }), []],
    ['is shut', facts({}, { generation: 'closed' }), ['fail store']],
    ['holds other records', facts({}, { schema: '9' }), ['fail store']],
    ['steps back in time', facts({}, { clockBackMs: 5 }), ['fail clock']],
    ['is off', facts({}, { clockOffsetMs: -5000 }), ['warn clock']],
    ['is far', facts({}, { roundTripMs: 30 }), ['warn latency']],
    ['holds what is not ours', facts({}, { foreignKeys: ['aq:x (set)'] }), ['fail keys']],
    ['refuses channels', facts({}, { channelFault: 'NOPERM' }), ['warn channels']],
    ['refuses scripts', facts({}, { scriptFault: 'NOPERM' }), ['fail scripts']],
  ])('that %s is told so', (_, given, faults) => {
    expect(faultsOf(given)).toEqual(faults);
  });
});
