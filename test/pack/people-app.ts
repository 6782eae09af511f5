import { readFileSync } from 'node:fs';
import { examplesOf } from '../docs/examples.js';

/**
 * The application of people.spec.ts: HTTP controllers and @nestjs/cqrs, with a request id (nestjs-cls), spans (OpenTelemetry and its
 * instrumentation of http) and transactions (typeorm-transactional, Postgres). Written as the guide has it.
 *
 * Its environment: PG_URL; ADDED=1 adds `@EntityType` to the messages; REDIS names the store, else it is memory.
 */
export const PACKAGES: readonly string[] = [
  ...[
    '@nestjs/common@^11',
    '@nestjs/core@^11',
    '@nestjs/cqrs@^11',
    '@nestjs/platform-express@^11',
    'reflect-metadata',
    'rxjs@^7',
  ],
  ...['@nestjs/typeorm@^11', 'typeorm@^0.3', 'typeorm-transactional@^0.5', 'pg@^8', 'nestjs-cls@^6', 'ioredis@^5'],
  ...['http-errors@^2', '@types/http-errors@^2'],
  ...['@opentelemetry/api@~1.9', '@opentelemetry/sdk-trace-node@^2', '@opentelemetry/instrumentation'],
  ...['@opentelemetry/instrumentation-http', 'typescript@5.9.3'],
];

/** The examples of the guide that it takes as they are. */
const FROM_GUIDE = examplesOf('docs/guide.md', readFileSync('docs/guide.md', 'utf8')).filter(({ file = '' }) =>
  ['traced', 'refusal-filter'].includes(file),
);

/** Loaded by `node --require`, before anything that it instruments. */
const TRACING = `
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

new NodeTracerProvider().register();
registerInstrumentations({ instrumentations: [new HttpInstrumentation()] });
`;

const ANSWERS = `
import { ArgumentsHost, Body, Catch, ConflictException, Controller, ExceptionFilter, Get, NotFoundException, Param, Post, Query, UnprocessableEntityException } from '@nestjs/common';
import { CommandBus, CommandHandler, ICommandHandler, IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { EntityType, QueueEntityId, TerminalError } from 'atomic-queues';
import createError from 'http-errors';

export class InsufficientFunds extends Error {
  readonly name = 'InsufficientFunds';
}

/** What the application has had for its own class all along. */
@Catch(InsufficientFunds, TerminalError)
export class OwnFilter implements ExceptionFilter {
  catch({ message }: Error, host: ArgumentsHost): void {
    host.switchToHttp().getResponse().status(409).json({ statusCode: 409, message });
  }
}

const Added = process.env.ADDED === '1' ? EntityType('account') : () => undefined;

@Added
export class Withdraw {
  constructor(@QueueEntityId() readonly accountId: string, readonly how: string) {}
}
@Added
export class GetBalance {
  constructor(@QueueEntityId() readonly accountId: string, readonly how: string) {}
}

function answer(how: string): { balance: number } {
  if (how === 'missing') throw new NotFoundException('no such account');
  if (how === 'bare') throw new NotFoundException();
  if (how === 'taken') throw new ConflictException({ statusCode: 409, message: 'taken', owner: { id: 'é' } });
  if (how === 'poor') throw new InsufficientFunds('5 too little');
  if (how === 'refused') throw new TerminalError('the account is closed', { status: 409 });
  if (how === 'locked') throw createError(423, 'somebody works on it');
  if (how === 'short') throw new UnprocessableEntityException(['the amount is above the balance', 'the amount is odd'], 'Too little');
  return { balance: 5 };
}

@CommandHandler(Withdraw)
export class WithdrawHandler implements ICommandHandler<Withdraw> {
  execute = async ({ how }: Withdraw) => answer(how);
}
@QueryHandler(GetBalance)
export class GetBalanceHandler implements IQueryHandler<GetBalance> {
  execute = async ({ how }: GetBalance) => answer(how);
}

@Controller('accounts')
export class AccountsController {
  constructor(private readonly commandBus: CommandBus, private readonly queryBus: QueryBus) {}

  @Post(':id/withdrawals')
  withdraw(@Param('id') id: string, @Body('how') how: string) {
    return this.commandBus.execute(new Withdraw(id, how));
  }

  @Get(':id/balance')
  balance(@Param('id') id: string, @Query('how') how: string) {
    return this.queryBus.execute(new GetBalance(id, how));
  }
}
`;

const SURROUNDINGS = `
import { trace } from '@opentelemetry/api';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { ClsService } from 'nestjs-cls';
import { Entity, PrimaryColumn, Repository } from 'typeorm';
import { Transactional } from 'typeorm-transactional';

@Entity()
export class Row {
  @PrimaryColumn() id!: string;
}

export interface Surroundings {
  readonly requestId: string | null;
  readonly traceId: string | null;
  /** Of Postgres, null outside of a transaction. */
  readonly transaction: string | null;
}

@Injectable()
export class Journal {
  constructor(@InjectRepository(Row) private readonly rows: Repository<Row>, private readonly cls: ClsService) {}

  async look(): Promise<Surroundings> {
    const requestId = this.cls.isActive() ? this.cls.getId() : null;
    const traceId = trace.getActiveSpan()?.spanContext().traceId ?? null;
    if (this.rows.manager.queryRunner === undefined) return { requestId, traceId, transaction: null };
    const [{ transaction }] = await this.rows.query('SELECT txid_current() AS transaction');
    return { requestId, traceId, transaction };
  }

  async write(id: string): Promise<void> {
    await this.rows.insert({ id });
  }

  @Transactional()
  inTransaction<T>(does: () => Promise<T>): Promise<T> {
    return does();
  }

  async ids(): Promise<string[]> {
    return (await this.rows.find()).map(({ id }) => id);
  }
}
`;

const REQUESTS = `
import { ConflictException, Controller, Get, Injectable, Param, Post, Query, UnprocessableEntityException } from '@nestjs/common';
import { CommandBus, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { AtomicQueuesError, DeadLetters, EntityContext, EntityType, QueueBus, QueueEntityId } from 'atomic-queues';
import { CLS_ID, ClsService } from 'nestjs-cls';
import { Transactional } from 'typeorm-transactional';
import { Journal, type Surroundings } from './surroundings';
import { traced, traceHeaders } from './traced';

const report = { handlers: [] as object[], callers: [] as object[] };

@EntityType('book')
export class Act {
  constructor(@QueueEntityId() readonly bookId: string, readonly request: string, readonly fails: boolean) {}
}

@CommandHandler(Act)
export class ActHandler implements ICommandHandler<Act> {
  constructor(private readonly journal: Journal, private readonly cls: ClsService) {}

  async execute({ request, fails }: Act): Promise<void> {
    const { headers } = EntityContext.current();
    const found = [await this.journal.look()];
    await this.journal.write('plain ' + request);
    found.push(await this.journal.look());
    const own: Surroundings[] = [];
    report.handlers.push({ request, found, own });
    // What a handler is to have of its caller travels in headers.
    await this.cls.run(() => {
      this.cls.set(CLS_ID, headers['x-request-id']);
      return traced('handle', () =>
        this.journal.inTransaction(async () => {
          await this.journal.write('own ' + request);
          own.push(await this.journal.look());
          if (fails) throw new UnprocessableEntityException(request + ' fails');
        }),
      );
    });
    found.push(await this.journal.look());
  }
}

@Injectable()
class Requests {
  private arrived: (() => void)[] = [];

  constructor(
    private readonly journal: Journal,
    private readonly cls: ClsService,
    private readonly commandBus: CommandBus,
    private readonly bus: QueueBus,
  ) {}

  /** Waits for all requests, each within its own transaction, so that they call in one tick. */
  private together(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.arrived.push(resolve) < count) return;
      for (const go of this.arrived) go();
      this.arrived = [];
    });
  }

  @Transactional()
  async act(message: Act, { rollsBack, byQueueBus, count }: { rollsBack: boolean; byQueueBus: boolean; count: number }): Promise<void> {
    await this.journal.write('caller ' + message.request);
    const found = [await this.journal.look()];
    report.callers.push({ request: message.request, found });
    await this.together(count);
    try {
      if (!byQueueBus) await this.commandBus.execute(message);
      else {
        const headers = { ...traceHeaders(), 'x-request-id': this.cls.getId() };
        await this.bus.enqueueAndWait(message, { headers });
      }
    } catch (error) {
      throw error instanceof AtomicQueuesError ? error.cause : error;
    } finally {
      found.push(await this.journal.look());
    }
    if (rollsBack) throw new ConflictException(message.request + ' rolls back');
  }
}

@Controller()
export class RequestsController {
  constructor(private readonly requests: Requests, private readonly journal: Journal, private readonly letters: DeadLetters) {}

  @Post('requests/:request')
  act(@Param('request') request: string, @Query() { book, fails, rollsBack, by, count }: Record<string, string>) {
    const how = { rollsBack: rollsBack === 'true', byQueueBus: by === 'QueueBus', count: Number(count) };
    return this.requests.act(new Act(book, request, fails === 'true'), how);
  }

  @Get('report')
  async report() {
    return { ...report, rows: await this.journal.ids(), deadLetters: await this.letters.count() };
  }
}

export const PROVIDERS = [Requests, Journal, ActHandler];
`;

const MAIN = `
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AtomicQueuesModule } from 'atomic-queues';
import { ClsModule } from 'nestjs-cls';
import { DataSource } from 'typeorm';
import { addTransactionalDataSource, initializeTransactionalContext, StorageDriver } from 'typeorm-transactional';
import { AccountsController, GetBalanceHandler, InsufficientFunds, OwnFilter, WithdrawHandler } from './answers';
import { RefusalFilter } from './refusal-filter';
import { PROVIDERS, RequestsController } from './requests';
import { Row } from './surroundings';

@Module({
  imports: [
    CqrsModule.forRoot(),
    ClsModule.forRoot({
      global: true,
      middleware: { mount: true, generateId: true, idGenerator: (request) => request.headers['x-request-id'] ?? randomUUID() },
    }),
    TypeOrmModule.forRootAsync({
      // Each caller holds a connection while its handler needs another one.
      useFactory: () => ({ type: 'postgres', url: process.env.PG_URL, entities: [Row], synchronize: true, dropSchema: true, poolSize: 80 }),
      dataSourceFactory: async (options) => addTransactionalDataSource(new DataSource(options!)),
    }),
    TypeOrmModule.forFeature([Row]),
    AtomicQueuesModule.forRoot({
      ...(process.env.REDIS === undefined ? { store: 'memory' as const } : { redis: { url: process.env.REDIS } }),
      entities: { account: { isTerminal: (error) => error instanceof InsufficientFunds || Number((error as { status?: number }).status) < 500 } },
    }),
  ],
  controllers: [AccountsController, RequestsController],
  providers: [
    { provide: APP_FILTER, useClass: OwnFilter },
    { provide: APP_FILTER, useClass: RefusalFilter },
    WithdrawHandler,
    GetBalanceHandler,
    ...PROVIDERS,
  ],
})
class AppModule {}

async function main(): Promise<void> {
  initializeTransactionalContext({ storageDriver: StorageDriver.AUTO });
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  console.log(JSON.stringify({ listens: await app.getUrl() }));
}
void main();
`;

/** By file, without the ending. */
export const SOURCES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(FROM_GUIDE.map(({ file, code }) => [file, code])),
  ...{ tracing: TRACING, answers: ANSWERS, surroundings: SURROUNDINGS, requests: REQUESTS, main: MAIN },
};
