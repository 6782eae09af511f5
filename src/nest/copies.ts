/** Other copies of this package in the process: what they inject is ours too, and somebody has to be warned. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Provider, Type } from '@nestjs/common';
import { sharedByCopies } from '../core/shared.js';
import { DeadLetters } from './dead-letters.js';
import { QueueBus } from './queue-bus.js';

interface Copy {
  /** Folder of its build; some bundles do not know it. */
  readonly path: string;
  readonly tokens: { readonly QueueBus: Type; readonly DeadLetters: Type };
}

const MINE = { QueueBus, DeadLetters } as unknown as Copy['tokens'];
const path = URL.canParse(import.meta.url ?? '') ? dirname(dirname(fileURLToPath(import.meta.url))) : 'a bundle';

const copies = sharedByCopies('copies', () => new Map<string, Copy>());
copies.set(path, { path, tokens: MINE });

/** Providers under the tokens of the copies that have been loaded, for those who inject by the class of one of them. */
export const providersForCopies = (): readonly (Provider & { readonly provide: Type })[] =>
  [...copies.values()]
    .filter(({ tokens }) => tokens.QueueBus !== MINE.QueueBus)
    .flatMap(({ tokens }) => [
      { provide: tokens.QueueBus, useExisting: QueueBus },
      { provide: tokens.DeadLetters, useExisting: DeadLetters },
    ]);

const warned = sharedByCopies('copies-warned', () => ({ count: 1 }));

/** The warning of a process that has several copies: once, and again only when one more has been loaded. */
export function noticeOfCopies(): string | undefined {
  if (copies.size <= warned.count) return undefined;
  warned.count = copies.size;
  const paths = [...copies.keys()].join(' and ');
  return `this process has ${copies.size} copies of atomic-queues: ${paths}. Install one version for all that use it (npm ls atomic-queues, npm dedupe), and load it in one way: a copy that is loaded after forRoot() cannot inject QueueBus`;
}
