import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EntityType, QueueEntity, QueueEntityId, ReplySchema, Schema } from '../../src/index.js';
import { propertyOfParameter } from '../../src/nest/constructor-source.js';
import { metadata } from '../../src/nest/metadata.js';
import { errorOf } from './app.js';

const idOf = (target: object): string | undefined => metadata.idPropertyOf(target)?.name;

describe('@QueueEntityId', () => {
  test('stands on a property', () => {
    @EntityType('account')
    class Message {
      @QueueEntityId() accountId = 'a';
    }
    expect(idOf(Message)).toBe('accountId');
    expect(metadata.typeOf(Message)).toBe('account');
  });

  test('stands on a constructor parameter, also behind others', () => {
    class Message {
      constructor(
        readonly amount: number,
        readonly note: string = 'a, b) {',
        @QueueEntityId() readonly accountId: string = '',
      ) {}
    }
    expect(idOf(Message)).toBe('accountId');
  });

  test('is inherited, and a subclass may have its own', () => {
    @QueueEntity('account', 'id')
    class Base {
      id = 'a';
    }
    class Same extends Base {}
    class Other extends Base {
      @QueueEntityId() otherId = 'b';
    }
    expect([idOf(Base), idOf(Same), idOf(Other)]).toEqual(['id', 'id', 'otherId']);
    expect(metadata.typeOf(Other)).toBe('account');
  });

  test('refuses a destructured parameter, and says what to do', async () => {
    const error = await errorOf('CONFIG_INVALID', () => {
      class Message {
        readonly id: string;
        constructor(@QueueEntityId() { id }: { id: string }) {
          this.id = id;
        }
      }
      return Message;
    });
    expect(error.message).toContain('Message');
    expect(error.message).toContain('put it on a property');
  });

  test('refuses two ids, a method parameter, a static and a symbol', async () => {
    const decorate = QueueEntityId();
    await errorOf('CONFIG_INVALID', () => {
      class Message {
        @QueueEntityId() a = 1;
        @QueueEntityId() b = 2;
      }
      return Message;
    });
    class Message {
      method(): void {}
    }
    await errorOf('CONFIG_INVALID', () => decorate(Message.prototype, 'method', 0));
    await errorOf('CONFIG_INVALID', () => decorate(Message, 'aStatic'));
    await errorOf('CONFIG_INVALID', () => decorate(Message.prototype, Symbol('id')));
  });
});

test('@EntityType refuses a name that is none, @QueueEntity a missing property, @Schema what is no schema', async () => {
  class Message {}
  for (const type of ['', 'a:b', 'with space', 'x'.repeat(129), undefined as unknown as string]) {
    expect((await errorOf('CONFIG_INVALID', () => EntityType(type)(Message))).message).toContain('Message');
  }
  await errorOf('CONFIG_INVALID', () => QueueEntity('account', '')(Message));
  await errorOf('CONFIG_INVALID', () => Schema({} as never)(Message));
  await errorOf('CONFIG_INVALID', () => ReplySchema(undefined as never)(Message));
  Schema(z.object({}))(Message);
  expect(metadata.schemaOf(Message)).toBeDefined();
});

describe('the property behind a constructor parameter', () => {
  const at = (source: string, index: number): unknown => {
    const found = propertyOfParameter(source, index);
    return 'property' in found ? found.property : undefined;
  };

  test.each<[string, string, number, string | undefined]>([
    ['a plain class', 'class A { constructor(id) { this.id = id; } }', 0, 'id'],
    ['fields before it', 'class A { id; x = "constructor(a)"; constructor(y, id) { this.y = y; this.id = id; } }', 1, 'id'],
    ['a field without a semicolon', 'class A {\n  id\n  constructor(id) { this.id = id }\n}', 0, 'id'],
    ['minified names', 'class a{constructor(b,c){this.accountId=b,this.amount=c}}', 0, 'accountId'],
    ['minified, the second', 'class a{constructor(b,c){this.accountId=b,this.amount=c}}', 1, 'amount'],
    ['a default with brackets', 'class A { constructor(x = f({ a: [1, 2] }, (b) => b), id = "," ) { this.id = id; } }', 1, 'id'],
    ['comments', 'class A { /* constructor(z) */ constructor(/* a, */ x, // b,\n id /* c */) { this.id = id; } }', 1, 'id'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    ['templates', 'class A { t = `${`constructor(q) {`}`; constructor(x = `${[1, 2]},`, id) { this.id = id; } }', 1, 'id'],
    ['a regular expression', 'class A { r = /constructor(\\/["\'`(])/; constructor(id) { this.id = id; } }', 0, 'id'],
    ['a division', 'class A { r = 4 / 2; s = 6 / 3; constructor(id) { this.id = id; } }', 0, 'id'],
    ['a nested class', 'class A { b = class { constructor(no) { this.no = no; } }; constructor(id) { this.id = id; } }', 0, 'id'],
    ['a method that calls one', 'class A { m() { return new this.constructor(1); } constructor(id) { this.id = id; } }', 0, 'id'],
    ['a quoted name', 'class A { "constructor"(id) { this.id = id; } }', 0, 'id'],
    ['only passed on', 'class A extends B { constructor(id, x) { super(id); this.x = x; } }', 0, 'id'],
    ['changed on the way', 'class A { constructor(id) { this.other = id.trim(); this.id = id; } }', 0, 'id'],
    ['another property', 'class A { constructor(id) { this.accountId = id; } }', 0, 'accountId'],
    ['a function of old compilers', 'function A(id, x) { this.id = id; this.x = x; }', 0, 'id'],
    ['other alphabets', 'class A { constructor(größe) { this.größe = größe; } }', 0, 'größe'],
    ['destructuring', 'class A { constructor({ id }) { this.id = id; } }', 0, undefined],
    ['a rest parameter', 'class A { constructor(...ids) { this.ids = ids; } }', 0, undefined],
    ['no such parameter', 'class A { constructor(id) { this.id = id; } }', 1, undefined],
    ['no constructor', 'class A { m(id) {} }', 0, undefined],
    ['native code', 'function A() { [native code] }', 0, undefined],
  ])('%s', (_, source, index, property) => {
    expect(at(source, index)).toBe(property);
  });

  test.each([ts.ScriptTarget.ES5, ts.ScriptTarget.ES2015, ts.ScriptTarget.ES2022, ts.ScriptTarget.ESNext])(
    'TypeScript, target %i',
    (target) => {
      const source = `class A { private z = /[(]/; constructor(readonly amount: number = (1, 2), readonly accountId: string) { console.log(amount / 2); } }; A`;
      const compiled = ts.transpile(source, { target, useDefineForClassFields: target >= ts.ScriptTarget.ES2022 });
      const compiledClass = new Function(`return eval(${JSON.stringify(compiled)})`)() as object;
      expect(at(Function.prototype.toString.call(compiledClass), 1)).toBe('accountId');
    },
  );
});
