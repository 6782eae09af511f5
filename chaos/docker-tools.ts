/**
 * Provides what the docker driver needs: a daemon and three images. Images that the options name come from a registry; the others
 * are built on this machine.
 */
import { dirname } from 'node:path';
import { ensureDaemon } from './daemon.js';
import { type DockerTools, hasImage } from './docker.js';
import { UsageError } from './driver.js';
import { imageOf } from './images.js';
import { nodeProgram } from './program.js';
import { findFaketime, redisServerOf, type Say, type ServerOptions, toxiproxyOf, toxiproxyVersionOf } from './setup.js';

interface ImageOptions extends ServerOptions {
  readonly redisImage: string | undefined;
  readonly toxiproxyImage: string | undefined;
}

export async function dockerTools(options: ImageOptions, say: Say): Promise<DockerTools> {
  const { redisImage, toxiproxyImage } = options;
  const end = await ensureDaemon(say);
  try {
    for (const image of [redisImage, toxiproxyImage])
      if (image !== undefined && !hasImage(image)) throw new UsageError(`there is no image ${image}, and it cannot be pulled`);
    const toxiproxy = toxiproxyImage === undefined ? toxiproxyOf(options.toxiproxy, say) : undefined;
    return {
      redisImage: redisImage ?? (await ownRedis(redisServerOf(options.redisServer, say))),
      toxiproxyImage: toxiproxyImage ?? (await ownToxiproxy(toxiproxy as string)),
      nodeImage: await ownNode(),
      toxiproxyVersion: toxiproxy === undefined ? 'unknown' : toxiproxyVersionOf(toxiproxy),
      root: process.cwd(),
      nodeFile: nodeProgram(say),
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

const pathTo = (program: string): string => `ENV PATH=${dirname(program)}`;

const ownRedis = (program: string): Promise<string> =>
  imageOf({ name: 'redis', program, changes: [pathTo(program), 'EXPOSE 6379', 'VOLUME /data'] });

const ownToxiproxy = (program: string): Promise<string> =>
  imageOf({ name: 'toxiproxy', program, changes: [`ENTRYPOINT ["${program}"]`, 'EXPOSE 8474'] });

function ownNode(): Promise<string> {
  const program = process.execPath;
  const faketime = findFaketime();
  return imageOf({ name: 'node', program, libraries: faketime === undefined ? [] : [faketime], changes: [pathTo(program)] });
}
