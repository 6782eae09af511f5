/**
 * The steps that the simulated store has applied, in order, for runs in which it loses the last of them, and the hosts that know
 * of the lost ones.
 */
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../src/core/log/operations.js';
import type { Life } from './world.js';

export interface Applied {
  readonly batch: Batch | undefined;
  readonly op: ControlOp | undefined;
  readonly atMs: number;
  /** The process that sent it. */
  readonly life: Life | undefined;
  /** The incarnation that remembers the step once it is acknowledged. 0: no node compares it later. */
  readonly incarnation: number;
  acknowledged: boolean;
}

export class AppliedLog {
  private readonly steps: Applied[] = [];

  get length(): number {
    return this.steps.length;
  }

  /** Records a batch. `isNew`: the batch was not applied before. Returns the step that a reply to this call acknowledges. */
  batch(batch: Batch, reply: BatchReply, isNew: boolean, atMs: number, life: Life | undefined): Applied | undefined {
    const { incarnation, n } = batch;
    if (!isNew && reply.status === 'applied')
      return this.steps.findLast((s) => s.batch?.incarnation === incarnation && s.batch.n === n);
    if (!isNew) return undefined;
    return this.push({ batch, op: undefined, atMs, life, incarnation, acknowledged: false });
  }

  control(op: ControlOp, answer: ControlAnswer, atMs: number, life: Life | undefined): Applied {
    const joined = op.op === 'join' && 'incarnation' in answer ? answer.incarnation : 0;
    const incarnation = op.op === 'heartbeat' && answer.ok ? op.incarnation : joined;
    return this.push({ batch: undefined, op, atMs, life, incarnation, acknowledged: false });
  }

  private push(step: Applied): Applied {
    this.steps.push(step);
    return step;
  }

  /** Returns the index of the first step for which `isIt` returns true; -1 if there is none. */
  indexOf(isIt: (step: Applied) => boolean): number {
    return this.steps.findIndex(isIt);
  }

  /**
   * Returns the hosts whose living incarnation has an acknowledgement of a step from `kept` on. They know what the store lost.
   */
  rememberedBy(kept: number): string[] {
    const current = new Map<Life, number>();
    for (const { life, op, incarnation, acknowledged } of this.steps)
      if (life?.alive === true && op?.op === 'join' && acknowledged) current.set(life, incarnation);
    const hosts = new Set<string>();
    for (const { life, incarnation, acknowledged } of this.steps.slice(kept))
      if (acknowledged && life !== undefined && incarnation !== 0 && current.get(life) === incarnation) hosts.add(life.host);
    return [...hosts];
  }

  /** Removes all but the first `kept` steps, and returns those. */
  cut(kept: number): readonly Applied[] {
    this.steps.length = Math.min(kept, this.steps.length);
    return this.steps;
  }
}
