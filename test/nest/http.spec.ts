/** What an application with HTTP controllers answers must not change when its messages become entity messages. */
import type { AddressInfo } from 'node:net';
import {
  type ArgumentsHost,
  Body,
  Catch,
  ConflictException,
  Controller,
  type DynamicModule,
  type ExceptionFilter,
  Get,
  GoneException,
  HttpException,
  type INestApplication,
  Inject,
  NotFoundException,
  Param,
  Post,
  type Provider,
  ServiceUnavailableException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { CommandBus, CommandHandler, CqrsModule, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type AtomicQueuesConfig,
  AtomicQueuesModule,
  DeadLetters,
  EntityType,
  QueueBus,
  QueueEntityId,
} from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf } from './app.js';

class PlainWithdraw {
  constructor(
    readonly id: string,
    readonly how: string,
  ) {}
}
class PlainBalance {
  constructor(
    readonly id: string,
    readonly how: string,
  ) {}
}
@EntityType('account')
class Withdraw {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}
@EntityType('account')
class Balance {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}

class Teapot extends HttpException {
  constructor(readonly brew: string) {
    super('short and stout', 418);
  }
}

class Evicted extends GoneException {}

/** As http-errors has them. */
class HttpError extends Error {}
class LockedError extends HttpError {}
Object.assign(LockedError.prototype, { name: 'LockedError', status: 423, statusCode: 423, expose: true });
class BadGatewayError extends HttpError {}
Object.assign(BadGatewayError.prototype, { name: 'BadGatewayError', status: 502, statusCode: 502, expose: false });

/** How handlers answer, and with which status a client must see it. */
const ANSWERS: Readonly<Record<string, readonly [status: number, answer: () => unknown]>> = {
  fine: [201, () => ({ balance: 5 })],
  missing: [404, () => fail(new NotFoundException('no such account'))],
  bare: [404, () => fail(new NotFoundException())],
  taken: [
    409,
    () => fail(new ConflictException({ statusCode: 409, owner: { id: 'é😀' }, at: new Date(0), big: 'x'.repeat(9000) })),
  ],
  short: [422, () => fail(new UnprocessableEntityException(['amount is above the balance', 'amount is odd'], 'Too much'))],
  teapot: [418, () => fail(new Teapot('green'))],
  filtered: [499, () => fail(new GoneException('left'))],
  'filtered by its base class': [499, () => fail(new Evicted('left'))],
  'of http-errors': [423, () => fail(new LockedError('somebody works on it'))],
  'of http-errors, hidden': [502, () => fail(new BadGatewayError('10.0.0.7 refused'))],
  down: [503, () => fail(new ServiceUnavailableException('the database is down', { cause: new Error('ECONNREFUSED') }))],
  broken: [500, () => fail(new TypeError('cannot read x of undefined'))],
};

function fail(error: Error): never {
  throw error;
}

const answer = async ({ how }: { how: string }): Promise<unknown> => ANSWERS[how]?.[1]();

@CommandHandler(PlainWithdraw)
class PlainWithdrawHandler {
  execute = answer;
}
@QueryHandler(PlainBalance)
class PlainBalanceHandler {
  execute = answer;
}
@CommandHandler(Withdraw)
class WithdrawHandler {
  execute = answer;
}
@QueryHandler(Balance)
class BalanceHandler {
  execute = answer;
}

@Controller('accounts')
class Accounts {
  constructor(
    @Inject(CommandBus) private readonly commandBus: CommandBus,
    @Inject(QueryBus) private readonly queryBus: QueryBus,
  ) {}

  @Post(':id/plain')
  plain(@Param('id') id: string, @Body() { how }: { how: string }): Promise<unknown> {
    return this.commandBus.execute(new PlainWithdraw(id, how));
  }

  @Post(':id/entity')
  entity(@Param('id') id: string, @Body() { how }: { how: string }): Promise<unknown> {
    return this.commandBus.execute(new Withdraw(id, how));
  }

  @Get(':id/plain/:how')
  plainBalance(@Param('id') id: string, @Param('how') how: string): Promise<unknown> {
    return this.queryBus.execute(new PlainBalance(id, how));
  }

  @Get(':id/entity/:how')
  balance(@Param('id') id: string, @Param('how') how: string): Promise<unknown> {
    return this.queryBus.execute(new Balance(id, how));
  }
}

/** Filters go by the class. */
@Catch(GoneException)
class GoneFilter implements ExceptionFilter {
  catch(exception: GoneException, host: ArgumentsHost): void {
    const { message } = exception;
    host.switchToHttp().getResponse().status(499).json({ filtered: message, name: exception.name });
  }
}

const PLAIN = [PlainWithdrawHandler, PlainBalanceHandler];
const ENTITY = [WithdrawHandler, BalanceHandler];

const open = new Set<INestApplication>();
afterEach(async () => {
  for (const app of open) await app.close();
  open.clear();
});

async function startHttp(config: AtomicQueuesConfig, handlers: readonly Provider[]): Promise<INestApplication> {
  const module: DynamicModule = {
    module: class App {},
    imports: [CqrsModule.forRoot(), AtomicQueuesModule.forRoot(config)],
    controllers: [Accounts],
    providers: [{ provide: APP_FILTER, useClass: GoneFilter }, ...PLAIN, ...handlers],
  };
  const app = await NestFactory.create(module, { logger: false, abortOnError: false });
  open.add(app);
  await app.listen(0, '127.0.0.1');
  return app;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function ask(app: INestApplication, path: string, how?: string): Promise<Answer> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ how }) };
  const response = await fetch(`http://127.0.0.1:${port}/accounts/a-1/${path}`, how === undefined ? {} : post);
  return { status: response.status, body: await response.json() };
}

/** Entity messages are answered as plain ones are, in status and body. */
async function answersAsBefore(app: INestApplication): Promise<void> {
  for (const [how, [status]] of Object.entries(ANSWERS)) {
    const commands = [await ask(app, 'plain', how), await ask(app, 'entity', how)] as const;
    expect(commands[0].status, how).toBe(status);
    expect(commands[1], how).toEqual(commands[0]);
    const queries = [
      await ask(app, `plain/${encodeURIComponent(how)}`),
      await ask(app, `entity/${encodeURIComponent(how)}`),
    ] as const;
    expect(queries[1], how).toEqual(queries[0]);
  }
}

describe('an application with HTTP controllers, on the memory store', () => {
  it('keeps each status and body when its messages become entity messages', async () => {
    await answersAsBefore(await startHttp({ store: 'memory' }, ENTITY));
  });

  it('gives the error that has the exception as its cause, where that is configured', async () => {
    const app = await startHttp({ store: 'memory', rethrowHttpExceptions: false }, ENTITY);
    expect(await ask(app, 'entity', 'missing')).toMatchObject({ status: 500 });
    const error = await errorOf('HANDLER_FAILED', app.get(CommandBus).execute(new Withdraw('a-1', 'missing')));
    expect(error.cause).toBeInstanceOf(NotFoundException);
  });

  it('calls by the queue bus get an error of the library, with the exception as its cause', async () => {
    const app = await startHttp({ store: 'memory' }, ENTITY);
    const error = await errorOf('HANDLER_FAILED', app.get(QueueBus).enqueueAndWait(new Withdraw('a-1', 'taken')));
    expect(error.details.error).toMatchObject({ name: 'ConflictException', status: 409, response: { owner: { id: 'é😀' } } });
    expect(JSON.stringify(error)).not.toContain('http.spec.ts');
    expect(error.cause).toBeInstanceOf(ConflictException);
    const exception = error.cause as ConflictException;
    expect(exception.getStatus()).toBe(409);
    expect(exception.getResponse()).toMatchObject({ owner: { id: 'é😀' }, at: '1970-01-01T00:00:00.000Z' });
    expect(exception.stack).toContain('http.spec.ts');
    const teapot = (await errorOf('HANDLER_FAILED', app.get(QueueBus).enqueueAndWait(new Withdraw('a-1', 'teapot')))).cause;
    expect(teapot).toMatchObject({ name: 'Teapot', message: 'short and stout', brew: 'green' });
    const down = (await errorOf('HANDLER_FAILED', app.get(QueueBus).enqueueAndWait(new Withdraw('a-1', 'down')))).cause as Error;
    expect(down.cause).toMatchObject({ name: 'Error', message: 'ECONNREFUSED' });
  });

  it('makes dead letters of faults, and none of answers below 500', async () => {
    const app = await startHttp({ store: 'memory' }, ENTITY);
    for (const how of Object.keys(ANSWERS)) await ask(app, 'entity', how);
    const { letters } = await app.get(DeadLetters).list();
    expect(letters.map(({ error }) => error?.name)).toEqual(['BadGatewayError', 'ServiceUnavailableException', 'TypeError']);
  });
});

describeRedis('an application with HTTP controllers whose handlers run on another node', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('keeps each status and body when its messages become entity messages', async () => {
    const config = (serverId: string) => ({ redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: 'http', serverId });
    await startHttp(config('handlers'), ENTITY);
    await answersAsBefore(await startHttp(config('controllers'), []));
  });
});
