/** Asks the store what became of everything, when all has ended. */
import type { RedisStore } from '../../src/redis/store.js';
import { type FinalState, givenKey, type StoredLetter, type StoredState } from './history.js';
import type { Ledger } from './ledger.js';
import { entityKey, type Plan } from './plan.js';
import type { RecordEvent } from './record.js';

const PAGE = 200;

export async function readLetters(store: RedisStore): Promise<StoredLetter[]> {
  const found: StoredLetter[] = [];
  for (let after = ''; ; ) {
    const { letters, next } = await store.control({ op: 'letters', after, max: PAGE });
    for (const { id: letter, entity, message, reason, incarnation } of letters) {
      const { plan } = JSON.parse(message.payload) as { plan: Plan };
      const { id, seq, attempt } = message;
      found.push({ letter, entity, id, ref: plan.ref, seq, attempt, reason, incarnation });
    }
    if (next === '') return found;
    after = next;
  }
}

export async function readGiven(store: RedisStore, events: readonly RecordEvent[]): Promise<Map<string, StoredState>> {
  const found = new Map<string, StoredState>();
  const asked = new Map<string, { entity: string; id: string }>();
  for (const event of events) {
    if (event.kind !== 'invoke' || event.id === undefined) continue;
    const entity = entityKey(event.plan);
    asked.set(givenKey(entity, event.id), { entity, id: event.id });
  }
  const all = [...asked];
  for (let from = 0; from < all.length; from += PAGE) {
    const page = all.slice(from, from + PAGE);
    await Promise.all(
      page.map(async ([key, { entity, id }]) => {
        const answer = await store.control({ op: 'lookup', entity, id, seq: 0 });
        const state = answer.ok ? answer.state : 'absent';
        if (state === 'purged') throw new Error(`the dead letter of ${key} was purged, which no story does`);
        found.set(key, state);
      }),
    );
  }
  return found;
}

export async function readFinalState(store: RedisStore, ledger: Ledger, events: readonly RecordEvent[]): Promise<FinalState> {
  const { depth, active, letters } = await store.control({ op: 'counts' });
  const { members } = await store.control({ op: 'members' });
  return {
    letters: await readLetters(store),
    given: await readGiven(store, events),
    effects: await ledger.read(),
    counts: { depth, active, letters },
    members: members.length,
  };
}
