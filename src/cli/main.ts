#!/usr/bin/env node
/** npx atomic-queues */

// Whoever reads only the first lines (`| head`) closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

/** ioredis is for those who use Redis; this command needs it. */
function explain(error: NodeJS.ErrnoException): void {
  const isMissing = error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes("'ioredis'");
  process.stderr.write(
    isMissing ? 'error: this command needs the package ioredis: npm install ioredis\n' : `${error.stack ?? error.message}\n`,
  );
  process.exitCode = 1;
}

/** Ends at once, but not before all is written: after a long reply ioredis' parser has a timer that runs for a second more. */
function leave(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

import('./program.js')
  .then(async ({ Program }) => leave(await new Program(process.env).run(process.argv.slice(2))))
  .catch(explain);
