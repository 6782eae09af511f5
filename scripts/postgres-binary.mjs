import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian installs the server's programs outside PATH, in one folder per major version. */
const DEBIAN = '/usr/lib/postgresql';

/** Returns the folder with Postgres' `initdb` and `postgres`: one on PATH, or Debian's newest; undefined if there is none. */
export function findPostgresPrograms() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((version) => join(DEBIAN, version, 'bin'))];
  return folders.find((folder) => ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))));
}
