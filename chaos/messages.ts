/** The messages of the workload and their handlers: one class per entity type, all with the simulator's jobs. */
import { Inject, Injectable } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { EntityType, QueueEntityId, Reply } from 'atomic-queues';
import { idOf, type Job, type Target, typeOf } from '../sim/job.js';
import { Performer } from './performer.js';

/** `c` is the first field, so that a reader of the log finds the call by it. */
abstract class JobMessage implements Reply<number> {
  @QueueEntityId() readonly id: string;

  constructor(
    readonly c: string,
    id: string,
    readonly job: Job,
  ) {
    this.id = id;
  }
}

@EntityType('plain')
export class PlainJob extends JobMessage {}

@EntityType('fenced')
export class FencedJob extends JobMessage {}

@EntityType('retried')
export class RetriedJob extends JobMessage {}

const CLASSES = { plain: PlainJob, fenced: FencedJob, retried: RetriedJob };

export const messageOf = ({ entity, job }: Target): JobMessage => new CLASSES[typeOf(entity)](job.c, idOf(entity), job);

@Injectable()
class JobHandler {
  constructor(@Inject(Performer) private readonly performer: Performer) {}

  execute({ job }: JobMessage): Promise<number> {
    return this.performer.perform(job);
  }
}

@CommandHandler(PlainJob)
export class PlainHandler extends JobHandler implements ICommandHandler<PlainJob> {}

@CommandHandler(FencedJob)
export class FencedHandler extends JobHandler implements ICommandHandler<FencedJob> {}

@CommandHandler(RetriedJob)
export class RetriedHandler extends JobHandler implements ICommandHandler<RetriedJob> {}
