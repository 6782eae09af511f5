/** Runs a measurement in a process of its own: sends it the job over IPC and resolves with its answer. */
import { fork } from 'node:child_process';

const TIMEOUT_MS = 300_000;

export function forked<Job extends object, Answer extends object>(
  script: URL,
  job: Job,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Answer | { readonly error: string }> {
  return new Promise((resolve) => {
    const worker = fork(script, { execArgv: ['--expose-gc'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    let answer: Answer | { readonly error: string } = { error: 'the child process ended without an answer' };
    const late = setTimeout(() => {
      answer = { error: `killed after ${TIMEOUT_MS / 1000} s` };
      worker.kill('SIGKILL');
    }, TIMEOUT_MS);
    worker.on('message', (message: Answer) => {
      answer = message;
    });
    worker.once('error', (error) => {
      answer = { error: error.message };
    });
    worker.once('exit', () => {
      clearTimeout(late);
      resolve(answer);
    });
    worker.send(job);
  });
}
