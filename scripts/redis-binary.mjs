import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of redis-server or valkey-server on PATH, or undefined. */
export function findRedisBinary() {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const dir of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(dir, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here: look in the next folder.
      }
    }
  }
  return undefined;
}
