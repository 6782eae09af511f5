const TAGS: ReadonlySet<string> = new Set(['[object Error]', '[object DOMException]']);

/**
 * Returns whether `thrown` is an error, also one of another realm: in a sandbox of Jest, errors of fs, net and fetch are not
 * instances of the sandbox's Error. Never throws; returns false for a revoked proxy.
 */
export function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error || TAGS.has(Object.prototype.toString.call(thrown));
  } catch {
    return false;
  }
}
