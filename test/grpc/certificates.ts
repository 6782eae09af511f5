import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IGrpcTlsConfig } from '../../src/core/config/types.js';
import { describeUnless } from '../support/not-run.js';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs the suite where there is an openssl, or registers it as skipped under a title that says so. */
export function describeOpenssl(name: string, fn: () => void): void {
  describeUnless(hasOpenssl() ? undefined : 'openssl', name, fn);
}

/** An authority that issues certificates for this machine, made anew each time. */
export class Authority {
  readonly #dir = mkdtempSync(join(tmpdir(), 'aq-ca-'));
  #issued = 0;

  constructor() {
    const subject = ['-subj', '/CN=authority', '-days', '2'];
    this.#openssl('req', '-x509', '-newkey', 'ec', ...EC, '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', ...subject);
  }

  /** Of a node at 127.0.0.1 and localhost, or at another host. */
  issue(host = 'IP:127.0.0.1,DNS:localhost'): Required<IGrpcTlsConfig> {
    const name = `n${++this.#issued}`;
    const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
    this.#openssl('req', '-newkey', 'ec', ...EC, '-nodes', ...files, '-subj', `/CN=${name}`);
    writeFileSync(join(this.#dir, `${name}.ext`), `subjectAltName=${host}\n`);
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing);
    return { ca: this.#read('ca.pem'), cert: this.#read(`${name}.pem`), key: Buffer.from(this.#read(`${name}.key`)) };
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), 'utf8');
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: ['ignore', 'ignore', 'ignore'] });
  }
}

const EC = ['-pkeyopt', 'ec_paramgen_curve:prime256v1'];
