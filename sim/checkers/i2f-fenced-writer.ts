import type { Findings, View } from './view.js';

/**
 * I2f: of the effects that carry the fence, none lands after one with a higher fence. The resource can enforce this only
 * if fences grow with every change of owner. The resource must never refuse the newest owner.
 */
export function fencedWriter(view: View, findings: Findings): void {
  for (const { entity, effects, owned } of view.entities.values()) {
    let claimed = { fence: 0, owner: 0 };
    for (const { how, fence, owner, index } of owned) {
      if (how !== 'claim' || index > view.lossIndex) continue;
      if (fence < claimed.fence || (fence === claimed.fence && owner !== claimed.owner))
        findings.violated('I2f', `${entity}: fence ${fence} was given to ${owner} after ${claimed.fence}`, index);
      if (fence >= claimed.fence) claimed = { fence, owner };
    }
    if (!view.typeFacts(entity).fenced) continue;
    let highest = 0;
    for (const { fence, accepted, index, node } of effects) {
      if (index > view.lossIndex) break;
      if (accepted && fence < highest)
        findings.violated('I2f', `${entity}: an effect of fence ${fence} from ${node} landed after ${highest}`, index);
      const newest = newestFenceBefore(owned, index);
      if (!accepted && fence >= newest)
        findings.violated('I2f', `${entity}: the effect of the newest owner (fence ${fence}, ${node}) was refused`, index);
      if (accepted) highest = Math.max(highest, fence);
    }
  }
}

function newestFenceBefore(owned: readonly { how: string; fence: number; index: number }[], index: number): number {
  let fence = 0;
  for (const change of owned) if (change.how === 'claim' && change.index < index) fence = change.fence;
  return fence;
}
