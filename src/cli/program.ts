/** Defines the commands of the CLI and their options. */
import { createRequire } from 'node:module';
import { Command, Option } from 'commander';
import { AtomicQueuesError } from '../core/errors.js';
import { StoreCallError } from '../ports/store.js';
import { LIMIT_DEFAULT, LIMIT_MAX, PER_SECOND_DEFAULT } from '../runtime/dead-letters.js';
import { SignalRepeats } from '../system/signals.js';
import { type Connected, closedStoreText, connect } from './connect.js';
import * as dlq from './dlq.js';
import { doctor } from './doctor.js';
import { COMMON, type CommonOptions, entityId, notEmpty, since, targetOf, typeName, typeNames, whole } from './options.js';
import { type GenerateOptions, generateFiles, introspect, kindOf } from './registry.js';
import { showEntity, status } from './status.js';
import { CommandError, Terminal, UsageError } from './terminal.js';

// Resolve by the package's own name: this file has another depth in dist than in a build for the tests.
const { version } = createRequire(import.meta.url)('atomic-queues/package.json') as { readonly version: string };

const EXIT = { done: 0, failed: 1, usage: 2 } as const;

const RATE_MAX = 100_000;

type Run = (connected: Connected, terminal: Terminal) => Promise<void>;

export class Program {
  readonly #root = new Command('atomic-queues');
  readonly #abort = new AbortController();
  readonly #repeats = new SignalRepeats();
  readonly #env: NodeJS.ProcessEnv;
  /** True if the running command handles the first SIGINT itself: it stops, and reports how far it came. */
  #endsItself = false;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
    this.#root
      .description('Looks into the log of an application, and at what failed in it. Reads without joining the cluster.')
      .version(version)
      .exitOverride()
      .showSuggestionAfterError();
    this.#addDlq();
    this.#command(this.#root, 'status', 'nodes, roles, leases; entities and messages by type; what may be blocked').action(
      this.#reading((connected, terminal) => status(connected, terminal)),
    );
    const entity = this.#root.command('entity').description('one entity');
    this.#command(entity, 'show', 'owner, fence, what runs, what waits, what is known of its past')
      .argument('<type>', 'entity type', typeName)
      .argument('<id>', 'entity id', entityId)
      .action((type: string, id: string, options: CommonOptions) =>
        this.#looking(options, (connected, terminal) => showEntity(connected, terminal, type, id)),
      );
    this.#addRegistry();
    this.#command(this.#root, 'doctor', 'checks a Redis, and says what each finding endangers').action((options: CommonOptions) =>
      doctor(targetOf(options, this.#env), this.#terminal(options)),
    );
  }

  /** Runs a command line. Resolves with the exit code. */
  async run(args: readonly string[]): Promise<number> {
    const onInterrupt = (): void => this.#interrupted();
    process.on('SIGINT', onInterrupt);
    try {
      await this.#root.parseAsync([...args], { from: 'user' });
      return EXIT.done;
    } catch (error) {
      return exitCodeOf(error);
    } finally {
      process.removeListener('SIGINT', onInterrupt);
    }
  }

  #interrupted(): void {
    if (!this.#abort.signal.aborted && this.#endsItself) {
      this.#repeats.first();
      this.#abort.abort();
      return;
    }
    if (this.#repeats.isRepeat) return;
    process.stderr.write('interrupted\n');
    process.exit(EXIT.failed);
  }

  #command(parent: Command, name: string, description: string): Command {
    const command = parent.command(name).description(description);
    for (const option of COMMON) command.addOption(option);
    return command;
  }

  #filtered(name: string, description: string, parent: Command): Command {
    return this.#command(parent, name, description)
      .option('--type <type>', 'of this entity type', typeName)
      .option('--entity <id>', 'of this entity; needs --type', entityId)
      .addOption(new Option('--reason <reason>', 'that died so').choices(['failed', 'interrupted']))
      .option('--since <time>', 'that died since: 2026-01-31T12:00:00Z, or 90s, 30m, 2h, 7d ago', since);
  }

  #addDlq(): void {
    const parent = this.#root.command('dlq').description('dead letters: messages that failed or were interrupted');
    this.#filtered('list', 'a page of them, oldest first', parent)
      .option('--limit <n>', 'letters on a page', whole(1, LIMIT_MAX), LIMIT_DEFAULT)
      .option('--after <id>', 'the page after this one', (text) => String(whole(0, Number.MAX_SAFE_INTEGER)(text)))
      .addOption(new Option('--replayed', 'only those that were replayed').conflicts('open'))
      .addOption(new Option('--open', 'only those that were not'))
      .action((options: CommonOptions & dlq.ListOptions & { open?: boolean }) => {
        dlq.checkFilter(options);
        const replayed = options.open === true ? false : options.replayed;
        return this.#looking(options, (connected, terminal) => dlq.list(connected, terminal, { ...options, replayed }));
      });
    this.#command(parent, 'show', 'everything that is kept of one')
      .argument('<id>', 'its number')
      .action((id: string, options: CommonOptions) =>
        this.#looking(options, (connected, terminal) => dlq.show(connected, terminal, id)),
      );
    this.#chosen('replay', 'logs their messages again, at the end of their entity, once', parent)
      .option('--force', 'also where the handler returned late: its effect may be there, so look in your data first')
      .option('--rate <n>', 'at most so many a second', whole(1, RATE_MAX), PER_SECOND_DEFAULT)
      .action((options: CommonOptions & dlq.ReplayCommandOptions) => {
        dlq.checkChoice(options);
        return this.#changing(options, (connected, terminal) => dlq.replay(connected, terminal, options));
      });
    this.#chosen('purge', 'deletes them for good', parent)
      .option('--yes', 'does not ask')
      .action((options: CommonOptions & dlq.PurgeCommandOptions) => {
        dlq.checkChoice(options);
        return this.#changing(options, (connected, terminal) => dlq.purge(connected, terminal, options));
      });
  }

  #addRegistry(): void {
    this.#command(this.#root, 'introspect', 'what the live services accept: entity types, messages, schemas').action(
      this.#reading((connected, terminal) => introspect(connected, terminal)),
    );
    this.#command(this.#root, 'generate', 'writes typed clients for what the live services accept')
      .option('--classes', 'decorated message classes, a file for each entity type, and an index')
      .option('--ts', 'interfaces, and the DispatchMap of QueueBus<DispatchMap>')
      .option('--json-schema', 'a JSON Schema document for each entity type')
      .option('--snapshot', 'the whole registry as one JSON file')
      .requiredOption('-o, --output <dir>', 'where to', notEmpty)
      .option('--entities <types>', 'only these entity types, a,b', typeNames)
      .option('--force', 'also over files that were not generated')
      .action((options: CommonOptions & GenerateOptions) => {
        kindOf(options);
        return this.#looking(options, (connected, terminal) => generateFiles(connected, terminal, options));
      });
  }

  #chosen(name: string, description: string, parent: Command): Command {
    return this.#filtered(name, description, parent)
      .option('--id <id>', 'this one')
      .option('--all', 'all of them')
      .option('--dry-run', 'only counts them');
  }

  #reading(run: Run) {
    return (options: CommonOptions): Promise<void> => this.#looking(options, run);
  }

  #terminal({ json = false }: CommonOptions): Terminal {
    return new Terminal(json, this.#abort.signal);
  }

  /** Runs a command that only reads. A closed store may still be read, with a warning. */
  #looking(options: CommonOptions, run: Run): Promise<void> {
    return this.#connected(options, false, async (connected, terminal) => {
      if (connected.isStoreClosed) terminal.note(`warning: ${closedStoreText(targetOf(options, this.#env).prefix)}`);
      await run(connected, terminal);
    });
  }

  #changing(options: CommonOptions, run: Run): Promise<void> {
    return this.#connected(options, true, async (connected, terminal) => {
      const refused = new CommandError(
        `nothing is replayed or deleted while ${closedStoreText(targetOf(options, this.#env).prefix)}`,
      );
      if (connected.isStoreClosed) throw refused;
      this.#endsItself = true;
      // A node may close the store while the command runs.
      await run(connected, terminal).catch((error: Error) => {
        throw error instanceof AtomicQueuesError && error.code === 'STORE_LOST' ? refused : error;
      });
    });
  }

  async #connected(options: CommonOptions, writes: boolean, run: Run): Promise<void> {
    const connected = await connect(targetOf(options, this.#env), writes);
    try {
      await run(connected, this.#terminal(options));
    } finally {
      await connected.close();
    }
  }
}

/** Prints the error and returns the exit code. A known error takes one line, an unknown one its stack. */
function exitCodeOf(error: unknown): number {
  const { code, exitCode, message } = error as { code?: unknown; exitCode?: number; message: string };
  // Commander has printed its own errors already.
  if (typeof code === 'string' && code.startsWith('commander.')) return exitCode === 0 ? EXIT.done : EXIT.usage;
  const isKnown = error instanceof CommandError || error instanceof StoreCallError || error instanceof AtomicQueuesError;
  const isUsage = error instanceof UsageError;
  process.stderr.write(`${isKnown || isUsage ? `error: ${message}` : ((error as Error).stack ?? message)}\n`);
  return isUsage ? EXIT.usage : EXIT.failed;
}
