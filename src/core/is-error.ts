const TAGS: ReadonlySet<string> = new Set(['[object Error]', '[object DOMException]']);

/**
 * Whether it is an error, also of another realm: in a sandbox of Jest those of fs, net and fetch are no instances of the
 * sandbox's Error. Never throws; a proxy that was revoked is none.
 */
export function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error || TAGS.has(Object.prototype.toString.call(thrown));
  } catch {
    return false;
  }
}
