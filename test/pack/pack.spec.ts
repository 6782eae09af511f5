import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { INSTALL_TIMEOUT_MS, NODE_TYPES, NPM_FLAGS, run } from './apps.js';
import { describeClients } from './clients.js';
import { quickStartOf, readQuickStart } from './quick-start.js';

const README = readFileSync('README.md', 'utf8');

interface App {
  readonly name: string;
  readonly type: 'module' | 'commonjs';
  readonly packages: readonly string[];
  readonly compilerOptions: Readonly<Record<string, unknown>>;
}

const APPS: readonly App[] = [
  {
    name: 'Nest 12, ESM',
    type: 'module',
    packages: ['@nestjs/common@^12', '@nestjs/core@^12', '@nestjs/cqrs@^12', 'typescript@6.0.3'],
    compilerOptions: { module: 'nodenext', moduleResolution: 'nodenext' },
  },
  {
    name: 'Nest 11, CommonJS',
    type: 'commonjs',
    packages: ['@nestjs/common@^11', '@nestjs/core@^11', '@nestjs/cqrs@^11', 'typescript@5.9.3', 'ioredis@^6', 'zod@^3.25'],
    // Of the age that many applications have: its lib lacks much that the declarations could refer to.
    compilerOptions: { module: 'commonjs', moduleResolution: 'node10', target: 'es2021', lib: ['es2021'] },
  },
];

function writeApp(dir: string, app: App, code: string): void {
  mkdirSync(dir);
  const write = (name: string, value: unknown) => writeFileSync(join(dir, name), JSON.stringify(value));
  write('package.json', { name: 'app', version: '1.0.0', private: true, type: app.type });
  write('tsconfig.json', {
    compilerOptions: {
      ...{
        strict: true,
        target: 'es2022',
        outDir: 'out',
        rootDir: '.',
        skipLibCheck: false,
        types: ['node'],
        typeRoots: [NODE_TYPES],
      },
      ...{ experimentalDecorators: true, emitDecoratorMetadata: true, esModuleInterop: true },
      ...app.compilerOptions,
    },
    files: ['main.ts'],
  });
  writeFileSync(join(dir, 'main.ts'), code);
}

const tarball = inject('tarball');
let root = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'aq-pack-'));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each(APPS)('the packed package in an empty app of $name', (app) => {
  const dir = () => join(root, app.type);

  beforeAll(async () => {
    writeApp(dir(), app, readQuickStart().code);
    await run(dir(), 'npm', ['install', ...NPM_FLAGS, ...app.packages, tarball]);
  }, INSTALL_TIMEOUT_MS);

  it('compiles the quick start under strict and runs it', async () => {
    await run(dir(), process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
    const output = await run(dir(), process.execPath, ['out/main.js']);
    expect(output.trimEnd().split('\n')).toContain(readQuickStart().prints);
  });

  it('installs nothing that the user did not ask for', () => {
    const own = JSON.parse(readFileSync(join(dir(), 'node_modules/atomic-queues/package.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(Object.keys(own.dependencies ?? {})).toEqual(['commander']);
    const asked = app.packages.some((name) => name.startsWith('ioredis'));
    expect(readdirSync(join(dir(), 'node_modules')).includes('ioredis')).toBe(asked);
    expect(readdirSync(join(dir(), 'node_modules/atomic-queues')).sort()).not.toContain('src');
  });

  it('has one class identity, however it is loaded, and a CommonJS twin with the same exports', async () => {
    const script = `
      const assert = require('node:assert');
      const required = require('atomic-queues');
      const twin = require(require('node:path').resolve('node_modules/atomic-queues/dist/cjs/index.js'));
      import('atomic-queues').then((imported) => {
        assert.strictEqual(imported.AtomicQueuesError, required.AtomicQueuesError);
        assert.deepStrictEqual(Object.keys(twin).sort(), Object.keys(imported).sort());
        console.log('same');
      });`;
    writeFileSync(join(dir(), 'identity.cjs'), script);
    expect(await run(dir(), process.execPath, ['identity.cjs'])).toBe('same\n');
  });
});

describe('an application on Nest 11', () => {
  it(
    'takes the package by the line that README has for it',
    async () => {
      const dir = join(root, 'on-nest-11');
      mkdirSync(dir);
      writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', private: true }));
      const nest = ['@nestjs/common@11', '@nestjs/core@11', '@nestjs/platform-express@11', 'reflect-metadata', 'rxjs'];
      await run(dir, 'npm', ['install', '--package-lock-only', ...NPM_FLAGS, ...nest]);
      const [, cqrs = ''] = /npm install atomic-queues @nestjs\/cqrs@12 # in an app on Nest 11: (\S+)/.exec(README) ?? [];
      await run(dir, 'npm', ['install', '--package-lock-only', ...NPM_FLAGS, tarball, cqrs]);
      const { packages } = JSON.parse(readFileSync(join(dir, 'package-lock.json'), 'utf8')) as {
        packages: Record<string, { version: string }>;
      };
      for (const name of ['common', 'core', 'cqrs']) expect(packages[`node_modules/@nestjs/${name}`]?.version).toMatch(/^11\./);
    },
    INSTALL_TIMEOUT_MS,
  );
});

describe('the pages in the packed package', () => {
  it('link to what is packed, and texts of errors name pages that are there', async () => {
    const dir = join(root, 'unpacked');
    mkdirSync(dir);
    await run(dir, 'tar', ['-xzf', tarball, '--strip-components=1']);
    const files = readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(dir, join(entry.parentPath, entry.name)));
    const pages = files.filter((name) => name.endsWith('.md'));
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/guide.md', 'docs/errors.md', 'docs/decisions/README.md']));
    const broken = pages.flatMap((page) =>
      [...readFileSync(join(dir, page), 'utf8').matchAll(/\]\((?!\w+:)([^)#]+)[^)]*\)/g)]
        .map(([, target = '']) => join(dirname(page), target))
        .filter((target) => !existsSync(join(dir, target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
    const texts = files.filter((name) => name.endsWith('.js')).map((name) => readFileSync(join(dir, name), 'utf8'));
    const named = new Set(texts.flatMap((text) => text.match(/docs\/[\w/-]+\.md/g) ?? []));
    expect([...named]).toContain('docs/guide.md');
    expect([...named].filter((page) => !files.includes(page))).toEqual([]);
  });
});

describeClients(tarball);

describe('the quick start in a page', () => {
  it('is the marked block, and has to say what it prints', () => {
    const page = (code: string) => `a\n\n\`\`\`ts\nother\n\`\`\`\n\n\`\`\`ts\n${code}\n\`\`\`\n`;
    expect(quickStartOf(page('// quick-start\nf();\n// prints: balance 3'))).toEqual({
      code: '// quick-start\nf();\n// prints: balance 3\n',
      prints: 'balance 3',
    });
    expect(quickStartOf(page('console.log(1); // prints: 1'))).toBeUndefined();
    expect(quickStartOf(page('// quick-start\nf(); // prints: 1'))?.prints).toBe('1');
    expect(() => quickStartOf(page('// quick-start\nf();'))).toThrow(/prints/);
  });
});
