/** Handles other copies of this package in the process: provides this copy's services under their tokens, and warns once. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Provider, Type } from '@nestjs/common';
import { sharedByCopies } from '../core/shared.js';
import { DeadLetters } from './dead-letters.js';
import { QueueBus } from './queue-bus.js';

interface Copy {
  /** Folder of the copy's build, or 'a bundle' if it is not known. */
  readonly path: string;
  readonly tokens: { readonly QueueBus: Type; readonly DeadLetters: Type };
}

const MINE = { QueueBus, DeadLetters } as unknown as Copy['tokens'];
const path = URL.canParse(import.meta.url ?? '') ? dirname(dirname(fileURLToPath(import.meta.url))) : 'a bundle';

const copies = sharedByCopies('copies', () => new Map<string, Copy>());
copies.set(path, { path, tokens: MINE });

/** Returns providers under the tokens of the other loaded copies, so that classes of those copies can be injected. */
export const providersForCopies = (): readonly (Provider & { readonly provide: Type })[] =>
  [...copies.values()]
    .filter(({ tokens }) => tokens.QueueBus !== MINE.QueueBus)
    .flatMap(({ tokens }) => [
      { provide: tokens.QueueBus, useExisting: QueueBus },
      { provide: tokens.DeadLetters, useExisting: DeadLetters },
    ]);

const warned = sharedByCopies('copies-warned', () => ({ count: 1 }));

/** Returns the warning for a process with several copies: once, and again only after another copy was loaded. */
export function noticeOfCopies(): string | undefined {
  if (copies.size <= warned.count) return undefined;
  warned.count = copies.size;
  const paths = [...copies.keys()].join(' and ');
  return `this process has ${copies.size} copies of atomic-queues: ${paths}. Install one version for all that use it (npm ls atomic-queues, npm dedupe), and load it in one way: a copy that is loaded after forRoot() cannot inject QueueBus`;
}
