import { createHash, timingSafeEqual } from 'node:crypto';
import { type ChannelCredentials, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js';
import type { IGrpcTlsConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';

const HEADER = 'authorization';

export interface Credentials {
  readonly client: ChannelCredentials;
  readonly server: ServerCredentials;
}

/** Returns credentials for mutual TLS, or insecure ones without `tls`. Throws CONFIG_INVALID for unreadable TLS material. */
export function credentialsOf(tls: IGrpcTlsConfig | undefined): Credentials {
  if (tls === undefined) return { client: credentials.createInsecure(), server: ServerCredentials.createInsecure() };
  const [ca, cert, key] = [tls.ca, tls.cert, tls.key].map((pem) => (pem === undefined ? undefined : Buffer.from(pem)));
  if (ca === undefined || cert === undefined || key === undefined)
    throw new AtomicQueuesError('CONFIG_INVALID', '`grpc.tls` needs all of ca, cert and key: both sides show a certificate');
  try {
    return {
      client: credentials.createSsl(ca, key, cert),
      server: ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AtomicQueuesError('CONFIG_INVALID', `\`grpc.tls\` cannot be used: ${why}`, { cause: error });
  }
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The shared secret of a cluster. Each call sends it as metadata; it is compared in constant time. */
export class Token {
  readonly #expected: Buffer | undefined;
  readonly metadata = new Metadata();

  constructor(token: string | undefined) {
    if (token === undefined) return;
    // Metadata takes only printable ASCII, but a secret may hold any characters.
    const text = `Bearer ${/^[\x20-\x7e]+$/.test(token) && token.trim() === token ? token : encodeURIComponent(token)}`;
    this.metadata.set(HEADER, text);
    this.#expected = digestOf(text);
  }

  admits(metadata: Metadata): boolean {
    if (this.#expected === undefined) return true;
    const given = metadata.get(HEADER)[0];
    // Comparing digests does not reveal the length of the secret either.
    return timingSafeEqual(digestOf(typeof given === 'string' ? given : ''), this.#expected);
  }
}
