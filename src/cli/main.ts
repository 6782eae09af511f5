#!/usr/bin/env node
/** npx atomic-queues */

// A reader that takes only the first lines (`| head`) closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

/** Prints why the program failed to load. ioredis is an optional package of the library, but the CLI needs it. */
function explain(error: NodeJS.ErrnoException): void {
  const isMissing = error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes("'ioredis'");
  process.stderr.write(
    isMissing ? 'error: this command needs the package ioredis: npm install ioredis\n' : `${error.stack ?? error.message}\n`,
  );
  process.exitCode = 1;
}

/** Exits once all output is written. Without it, a timer of ioredis' parser keeps the process for a second after a long reply. */
function leave(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

import('./program.js')
  .then(async ({ Program }) => leave(await new Program(process.env).run(process.argv.slice(2))))
  .catch(explain);
