import { type EntityView, excuseOf, type Findings, type Handling, lateStartExcuseOf, type View } from './view.js';

/** I2: handlers of one entity never overlap, cluster-wide. Inside one process there is no excuse. */
export function singleWriter(view: View, findings: Findings): void {
  for (const entity of view.entities.values())
    for (const [earlier, later] of overlapsOf(view, entity)) {
      const { start } = later;
      const isOneProcess = earlier.start.node === start.node;
      const excuse = isOneProcess ? undefined : overlapExcuseOf(view, earlier, later);
      const what = `${entity.entity}: #${start.seq} started on ${start.node} while #${earlier.start.seq} ran on ${earlier.start.node}`;
      if (excuse === undefined) findings.violated('I2', what, start.index);
      else findings.excuse('I2', excuse);
    }
}

/**
 * Returns the excuse of the handler that had lost its right to run: the one with the lower fence. Usually that handler started
 * first. On a machine that was suspended, whose clock stood still, it may start last, when the machine wakes.
 */
const overlapExcuseOf = (view: View, earlier: Handling, later: Handling): string | undefined =>
  later.start.fence < earlier.start.fence ? lateStartExcuseOf(view, later) : excuseOf(view, earlier, later.start.atMs);

/** Returns the pairs of handlings that overlap. In each pair the handling that started earlier comes first. */
export function overlapsOf(view: View, entity: EntityView): [Handling, Handling][] {
  const pairs: [Handling, Handling][] = [];
  const running: Handling[] = [];
  for (const handling of entity.handlings) {
    if (handling.start.index > view.lossIndex) break;
    for (let i = running.length - 1; i >= 0; i--) {
      const earlier = running[i] as Handling;
      if (earlier.endIndex < handling.start.index) running.splice(i, 1);
      else pairs.push([earlier, handling]);
    }
    running.push(handling);
  }
  return pairs;
}
