import { typeOfKey } from '../core/ids.js';
import type { Leader, Member, MembersAnswer } from '../core/log/control-operations.js';
import { placeOf } from '../core/placement/ring.js';

/**
 * Who lives, as this node last read it from the store. A view is never more than advice: what it says of owners and masters
 * is checked by the log, or by epoch, where it matters.
 */
export class View {
  /** Live members of this node's service group, itself included; lowest serverId first. */
  group: readonly Member[] = [];
  /** Live members of every service group. */
  members: readonly Member[] = [];
  /** The master of the group, if its record stands. */
  leader: Leader | undefined;
  private live: ReadonlySet<number> = new Set();
  private listed: ReadonlySet<number> = new Set();
  private readonly byType = new Map<string, readonly Member[]>();

  /** This node's incarnation while it drains: it takes nothing new. */
  private leaving = 0;

  constructor(private readonly groupName: string) {}

  /** Takes a newer reading. Answers whether members of the group came or went. */
  update(answer: MembersAnswer): 'joined' | 'left' | undefined {
    const live = answer.members.filter((m) => !m.dead && m.leaseUntilMs > answer.nowMs);
    const group = live.filter((m) => m.group === this.groupName);
    group.sort((a, b) => (a.serverId < b.serverId ? -1 : 1));
    const before = this.group;
    const joined = group.some((m) => !before.some((b) => b.incarnation === m.incarnation));
    const left = before.some((b) => !group.some((m) => m.incarnation === b.incarnation));
    this.group = group;
    this.members = live;
    this.listed = new Set(answer.members.map((m) => m.incarnation));
    this.live = new Set(live.map((m) => m.incarnation));
    const leader = answer.leaders.find((l) => l.group === this.groupName);
    this.leader = leader !== undefined && leader.untilMs > answer.nowMs && this.isLive(leader.incarnation) ? leader : undefined;
    this.byType.clear();
    if (joined) return 'joined';
    return left ? 'left' : undefined;
  }

  /** Whether the store lists it at all, dead or alive. */
  isMember(incarnation: number): boolean {
    return this.listed.has(incarnation);
  }

  isLive(incarnation: number): boolean {
    return this.live.has(incarnation);
  }

  /** Whether anybody of the group besides `me` takes new work. */
  othersTakeWork(me: number): boolean {
    return this.group.some((m) => m.incarnation !== me && m.eligible);
  }

  /** From now on `incarnation` has no place. */
  leave(incarnation: number): void {
    this.leaving = incarnation;
    this.byType.clear();
  }

  /** The live members that declared the type of this entity and take new work: neither draining nor degraded. */
  places(entity: string): readonly Member[] {
    const type = typeOfKey(entity);
    let places = this.byType.get(type);
    if (places === undefined) {
      const able = this.group.filter((m) => m.types.includes(type) && m.incarnation !== this.leaving);
      const willing = able.filter((m) => m.eligible);
      places = willing.length > 0 ? willing : able;
      this.byType.set(type, places);
    }
    return places;
  }

  /** The member to which the entity belongs while nobody owns it; undefined if none is known. */
  placeOf(entity: string): Member | undefined {
    const places = this.places(entity);
    return places.length < 2 ? places[0] : placeOf(entity, places);
  }

  /** True if the entity, while nobody owns it, belongs to `me`; also while the view does not yet know of anybody. */
  belongsTo(entity: string, me: number): boolean {
    const place = this.placeOf(entity);
    return place === undefined ? me !== this.leaving : place.incarnation === me;
  }
}
