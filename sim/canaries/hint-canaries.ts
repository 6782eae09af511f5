/** Canaries of the ways by which a node hears of work: the hints between nodes, and the sweep that finds what no hint reached. */
import { AvoidedEntities } from '../../src/runtime/avoided-entities.js';
import { Recovery } from '../../src/runtime/recovery.js';
import { Router } from '../../src/runtime/router.js';
import { EntityWorker } from '../../src/runtime/worker.js';
import type { Machine } from '../machine.js';
import { type Canary, poke, replaceMethod, withAnswers } from './canary.js';

export const HINT_CANARIES: readonly Canary[] = [
  {
    name: 'no-sweep',
    does: 'nobody sweeps',
    expected: ['L1'],
    install: () => replaceMethod(Recovery, 'sweepOnce', () => () => Promise.resolve(undefined)),
  },
  {
    name: 'hint-ends-at-an-avoider',
    does: 'a node that has given an entity up for want of a handler keeps a hint of its work to itself',
    expected: ['L1'],
    scenario: 'handed-on-past-avoiders',
    install: () => replaceMethod(AvoidedEntities, 'passesOn', () => () => false),
  },
  {
    name: 'sweep-ready-only',
    does: 'the sweep takes over nothing that the dead own',
    expected: ['L1'],
    install: () => replaceMethod(Recovery, 'takeOver', () => () => Promise.resolve()),
  },
  {
    name: 'ready-only-unowned',
    does: 'the sweep does not see ready work of owned entities, and no worker is released when idle, which would find it too',
    expected: ['L1'],
    machine: readyOnlyUnowned,
    install: () => replaceMethod(EntityWorker, 'onIdleTimeout', () => () => undefined),
  },
  {
    name: 'refused-petition-waits',
    does: 'a message whose petition is refused is left to the sweep',
    expected: ['L4'],
    install: () =>
      replaceMethod(Router, 'placed', (original) => (self, entity, records, owner, refusal) => {
        if (refusal === undefined) original(self, entity, records, owner, refusal);
      }),
  },
  {
    name: 'withdraw-without-wake',
    does: 'the owner is not woken when the message is withdrawn whose next attempt it waits for',
    expected: ['L4'],
    scenario: 'withdrawn-in-backoff',
    install: () => replaceMethod(Router, 'wake', () => () => undefined),
  },
  {
    name: 'wake-lost-in-flight',
    does: 'a wake that comes while a begin or a retry is in flight is forgotten',
    expected: ['L4'],
    scenario: 'wake-before-the-answer',
    install: () =>
      replaceMethod(EntityWorker, 'waitUntil', (original) => (self, storeMs) => {
        poke(self, 'wokenMeanwhile', false);
        return original(self, storeMs);
      }),
  },
  {
    name: 'empty-wins',
    does: 'the answer "nothing is there" counts, whatever came while the begin was in flight',
    expected: ['L4'],
    scenario: 'hint-before-the-answer',
    install: () =>
      replaceMethod(EntityWorker, 'beginAnswered', (original) => (self, ...args) => {
        poke(self, 'wokenMeanwhile', false);
        poke(self, 'arrivedMeanwhile', false);
        return original(self, ...args);
      }),
  },
  {
    name: 'finish-wins',
    does: 'an owner that has ended its last known message forgets a wake that came while that end was in flight',
    expected: ['L4'],
    scenario: 'wake-before-the-end-is-logged',
    install: () =>
      replaceMethod(EntityWorker, 'finished', (original) => (self, ...args) => {
        poke(self, 'wokenMeanwhile', false);
        return original(self, ...args);
      }),
  },
];

function readyOnlyUnowned(): Machine {
  return withAnswers('ready', ({ entities, next }) => ({
    ok: true,
    entities: entities.filter(({ owner }) => owner === 0),
    next,
  }));
}
