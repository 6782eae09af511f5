/** doctor: checks a Redis, and reports the risk of each finding. Joins no cluster. Writes only to the script cache. */
import type { Redis } from 'ioredis';
import { permissionLacking } from '../redis/failures.js';
import { BATCH_SCRIPT, CONTROL_SCRIPT } from '../redis/script.gen.js';
import { KEY_TYPES } from '../redis/server-checks.js';
import { answerOf, openClient, type Target } from './connect.js';
import { type Facts, type Finding, judge, type Level } from './doctor-checks.js';
import { type Colour, CommandError, type Terminal } from './terminal.js';

const ROUND_TRIPS = 11;

const COLOURS: Readonly<Record<Level, Colour>> = { ok: 'green', warn: 'yellow', fail: 'red' };

export async function doctor(target: Target, terminal: Terminal): Promise<void> {
  const client = await openClient(target);
  let findings: readonly Finding[];
  try {
    findings = judge(await factsOf(client, target.prefix));
  } finally {
    client.disconnect();
  }
  const failed = findings.filter(({ level }) => level === 'fail').length;
  const warned = findings.filter(({ level }) => level === 'warn').length;
  terminal.answer({ findings, failed, warned }, () =>
    findings
      .map(({ check, level, found, endangers }) => {
        const line = `${terminal.paint(COLOURS[level], level.padEnd(4))} ${check.padEnd(12)} ${found}`;
        return endangers === '' ? line : `${line}\n     ${' '.repeat(12)} ${terminal.paint('dim', endangers)}`;
      })
      .join('\n'),
  );
  if (failed > 0) throw new CommandError(`${failed} of ${findings.length} checks failed`);
}

async function factsOf(client: Redis, prefix: string): Promise<Facts> {
  const { foreignKeys, ownKeys } = await keysOf(client, prefix);
  return {
    info: fieldsOf(await answerOf(client.info())),
    config: await configOf(client),
    ...(await clockOf(client)),
    roundTripMs: await roundTripOf(client),
    ...{ foreignKeys, ownKeys },
    ...(await storeOf(client, prefix)),
    scriptFault: await scriptFaultOf(client),
    keyPrefix: prefix,
    // Must be last: SUBSCRIBE puts the connection into subscriber mode.
    channelFault: await channelFaultOf(client, prefix),
  };
}

const fieldsOf = (info: string): ReadonlyMap<string, string> =>
  new Map(
    info
      .split(/\r?\n/)
      .map((line) => /^([^#:]+):(.*)$/.exec(line))
      .filter((found) => found !== null)
      .map(([, name = '', value = '']) => [name, value.trim()]),
  );

/** Reads the CONFIG values, or returns undefined: managed servers often forbid CONFIG. */
async function configOf(client: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  const found = new Map<string, string>();
  for (const name of ['maxmemory-policy', 'appendfsync']) {
    const pair = (await client.config('GET', name).catch(() => undefined)) as readonly string[] | undefined;
    if (pair === undefined) return undefined;
    if (pair[1] !== undefined) found.set(name, pair[1]);
  }
  return found;
}

async function clockOf(client: Redis): Promise<Pick<Facts, 'clockOffsetMs' | 'clockBackMs'>> {
  const sentMs = Date.now();
  const first = await timeOf(client);
  const receivedMs = Date.now();
  const second = await timeOf(client);
  return { clockOffsetMs: Math.round(first - (sentMs + receivedMs) / 2), clockBackMs: Math.max(0, Math.round(first - second)) };
}

async function timeOf(client: Redis): Promise<number> {
  const [seconds, micros] = (await answerOf(client.time())) as unknown as readonly [string, string];
  return Number(seconds) * 1000 + Number(micros) / 1000;
}

async function roundTripOf(client: Redis): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const startMs = performance.now();
    await answerOf(client.ping());
    times.push(performance.now() - startMs);
  }
  return times.sort((a, b) => a - b)[Math.floor(ROUND_TRIPS / 2)] ?? 0;
}

/** Checks the types of the keys that a node would use, as a node does at its start. Another application must not use them. */
async function keysOf(client: Redis, prefix: string): Promise<Pick<Facts, 'foreignKeys' | 'ownKeys'>> {
  const foreignKeys: string[] = [];
  let ownKeys = 0;
  for (const [name, want] of Object.entries(KEY_TYPES)) {
    const key = `${prefix}:{0}:${name}`;
    const type = await answerOf(client.type(key));
    if (type === want) ownKeys++;
    else if (type !== 'none') foreignKeys.push(`${key} (${type})`);
  }
  return { foreignKeys, ownKeys };
}

async function storeOf(client: Redis, prefix: string): Promise<Pick<Facts, 'generation' | 'schema'>> {
  // `keysOf` reports a key of another type already.
  const none = (error: Error): null[] => {
    if (!error.message.startsWith('WRONGTYPE')) throw error;
    return [];
  };
  const [generation, schema] = await answerOf(client.hmget(`${prefix}:{0}:meta`, 'generation', 'schema').catch(none));
  return { generation: generation ?? '', schema: schema ?? '' };
}

async function scriptFaultOf(client: Redis): Promise<string | undefined> {
  try {
    // Managed servers often forbid SCRIPT. A node works without it.
    for (const text of [BATCH_SCRIPT, CONTROL_SCRIPT])
      await client.script('LOAD', text).catch((error: unknown) => {
        if (permissionLacking(error) === undefined) throw error;
      });
    await client.eval('return 1', 0);
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

/** Tests publish and subscribe on the channel of incarnation 0, which no node has. */
async function channelFaultOf(client: Redis, prefix: string): Promise<string | undefined> {
  const channel = `${prefix}:net:0`;
  try {
    await client.publish(channel, '');
    await client.subscribe(channel);
    await client.unsubscribe(channel);
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

/** Resolves with the text of an error reply. If Redis sent no reply, rejects with a CommandError. */
async function faultOf(error: unknown): Promise<string> {
  const { name, message } = error as Error;
  return name === 'ReplyError' ? message : answerOf(Promise.reject(error));
}
