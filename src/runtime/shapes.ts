/**
 * The JSON Schemas that the live services publish for their messages. Messages of callers are checked against them.
 *
 *   (1) A text is read once per version, not once per member: replicas of one service publish the same.
 *   (2) It is read before any component learns of the members that publish it, so a message that is known has its schema.
 *   (3) If services publish different schemas for one message, the one that joined last counts, on every node.
 */
import { isSameShape, type MessageShape, type Shapes, shapesOf } from '../core/catalog.js';
import { AtomicQueuesError } from '../core/errors.js';
import { violationsOf } from '../core/json-schema.js';
import type { Contract, MembersAnswer } from '../core/log/control-operations.js';
import { decodeJson } from '../core/payload.js';
import type { Declaration } from './declared.js';

interface Published {
  readonly shape: MessageShape;
  readonly group: string;
}

/** Two service groups that publish different schemas for one message. */
export interface SchemaConflict {
  readonly type: string;
  readonly name: string;
  readonly services: readonly [string, string];
  /** The one that joined last. */
  readonly wins: string;
}

const SHOWN_MAX = 10;

export class PublishedShapes {
  /** Texts that were read, by type and version. */
  private readonly read = new Map<string, Shapes>();
  private current = new Map<string, Map<string, Published>>();
  private readonly told = new Set<string>();
  private readonly own: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(
    own: readonly Contract[],
    private readonly conflict: (conflict: SchemaConflict) => void,
  ) {
    this.own = new Map(own.map(({ type, names }) => [type, new Set(names)]));
  }

  /** Reads the texts that are new in this membership snapshot. `ask` returns undefined for a member that is gone. */
  async fetch(
    { contracts }: MembersAnswer,
    ask: (incarnation: number, type: string) => Promise<string | undefined>,
  ): Promise<void> {
    for (const { incarnation, contract } of contracts) {
      const { type, version } = contract;
      if (version === undefined || this.read.has(keyOf(type, version))) continue;
      const text = await ask(incarnation, type);
      if (text !== undefined) this.read.set(keyOf(type, version), shapesOf(text));
    }
  }

  /** Takes a membership snapshot in which the live members or their contracts have changed. */
  learn(declared: readonly Declaration[]): void {
    const found = new Map<string, Map<string, Published>>();
    for (const { isLive, contracts, group } of declared)
      if (isLive) for (const contract of contracts) this.add(found, contract, group);
    // A type whose services are all down keeps its last schemas: its messages are still accepted.
    for (const [type, last] of this.current) if (!found.has(type)) found.set(type, last);
    this.current = found;
    this.forgetUnused(declared);
  }

  private add(found: Map<string, Map<string, Published>>, { type, version }: Contract, group: string): void {
    const shapes = version === undefined ? undefined : this.read.get(keyOf(type, version));
    if (shapes === undefined) return;
    const messages = found.get(type) ?? new Map<string, Published>();
    found.set(type, messages);
    for (const [name, shape] of shapes) {
      const before = messages.get(name);
      if (before !== undefined && before.group !== group && !isSameShape(before.shape, shape))
        this.tell(type, name, before.group, group);
      messages.set(name, { shape, group });
    }
  }

  private tell(type: string, name: string, before: string, wins: string): void {
    const key = `${type} ${name} ${before} ${wins}`;
    if (this.told.has(key)) return;
    this.told.add(key);
    this.conflict({ type, name, services: [before, wins], wins });
  }

  private forgetUnused(declared: readonly Declaration[]): void {
    const used = new Set(declared.flatMap(({ contracts }) => contracts.map(({ type, version = '' }) => keyOf(type, version))));
    for (const key of this.read.keys()) if (!used.has(key)) this.read.delete(key);
  }

  shapeOf(type: string, name: string): MessageShape | undefined {
    return this.current.get(type)?.get(name)?.shape;
  }

  /** Returns SCHEMA_VIOLATION for a payload that its service would refuse. What this process handles was checked before. */
  violation(type: string, name: string, payload: string): AtomicQueuesError | undefined {
    if (this.own.get(type)?.has(name) === true) return undefined;
    const shape = this.shapeOf(type, name);
    if (shape?.payload === undefined) return undefined;
    const issues = violationsOf(shape.payload, decodeJson(payload));
    if (issues.length === 0) return undefined;
    const shown = issues.slice(0, SHOWN_MAX).map(({ path, message }) => `${path}: ${message}`);
    return new AtomicQueuesError(
      'SCHEMA_VIOLATION',
      `the payload of ${type}.${name} does not match its schema: ${shown.join('; ')}`,
      {
        definite: true,
        details: { path: issues[0]?.path, issues },
      },
    );
  }
}

const keyOf = (type: string, version: string): string => `${type} ${version}`;
