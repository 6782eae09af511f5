import { typeOfKey } from '../core/ids.js';
import type { Leader, Member, MembersAnswer } from '../core/log/control-operations.js';
import { roomyOf } from '../core/placement/choose.js';
import { placeOf } from '../core/placement/rendezvous.js';

interface Places {
  readonly all: readonly Member[];
  /** Those that are not overloaded. */
  readonly roomy: readonly Member[];
}

/**
 * Who lives, as this node last read it from the store. A view is never more than advice: what it says of owners and masters
 * is checked by the log, or by epoch, where it matters.
 */
export class View {
  /** Live members of this node's service group that handle something; lowest serverId first. */
  group: readonly Member[] = [];
  /** Live members of every service group. */
  members: readonly Member[] = [];
  /** The master of the group, if its record stands. */
  leader: Leader | undefined;
  /** Who led the group last and let its record lapse; 0: nobody. */
  lapsed = 0;
  private live: ReadonlyMap<number, Member> = new Map();
  private listed: ReadonlySet<number> = new Set();
  private leaders: ReadonlyMap<string, Leader> = new Map();
  private readonly byType = new Map<string, Places>();

  /** This node's incarnation while it drains: it takes nothing new. */
  private leaving = 0;

  constructor(private readonly groupName: string) {}

  /** Takes a newer reading. Answers whether members came or went. */
  update(answer: MembersAnswer): 'joined' | 'left' | undefined {
    const before = this.live;
    const members = answer.members.filter((m) => !m.dead && m.leaseUntilMs > answer.nowMs);
    const live = new Map(members.map((m) => [m.incarnation, m]));
    const group = members.filter((m) => m.group === this.groupName && m.types.length > 0);
    group.sort((a, b) => (a.serverId < b.serverId ? -1 : 1));
    this.group = group;
    this.members = members;
    this.live = live;
    this.listed = new Set(answer.members.map((m) => m.incarnation));
    const inForce = answer.leaders.filter((l) => l.untilMs > answer.nowMs && live.has(l.incarnation));
    this.leaders = new Map(inForce.map((l) => [l.group, l]));
    this.leader = this.leaders.get(this.groupName);
    const last = answer.leaders.find((l) => l.group === this.groupName);
    this.lapsed = this.leader === undefined ? (last?.incarnation ?? 0) : 0;
    this.byType.clear();
    if (members.some((m) => !before.has(m.incarnation))) return 'joined';
    return before.size > live.size ? 'left' : undefined;
  }

  /** Whether the store lists it at all, dead or alive. */
  isMember(incarnation: number): boolean {
    return this.listed.has(incarnation);
  }

  /** Undefined for one that does not live. */
  memberOf(incarnation: number): Member | undefined {
    return this.live.get(incarnation);
  }

  isLive(incarnation: number): boolean {
    return this.live.has(incarnation);
  }

  /** Whether anybody besides `me`, of whatever group, takes new work. */
  othersTakeWork(me: number): boolean {
    return this.members.some((m) => m.incarnation !== me && m.eligible && m.types.length > 0);
  }

  /** '' for one that does not live. */
  serverIdOf(incarnation: number): string {
    return this.live.get(incarnation)?.serverId ?? '';
  }

  /** Whether it lives in this node's service group. */
  isNear(incarnation: number): boolean {
    return this.live.get(incarnation)?.group === this.groupName;
  }

  /** From now on `incarnation` has no place. */
  leave(incarnation: number): void {
    this.leaving = incarnation;
    this.byType.clear();
  }

  /** The live members, of whatever group, that declared the type of this entity and take new work: neither draining nor degraded. */
  places(entity: string): readonly Member[] {
    return this.placesOf(entity).all;
  }

  private placesOf(entity: string): Places {
    const type = typeOfKey(entity);
    let places = this.byType.get(type);
    if (places === undefined) {
      const able = this.members.filter((m) => m.types.includes(type) && m.incarnation !== this.leaving);
      const willing = able.filter((m) => m.eligible);
      const all = willing.length > 0 ? willing : able;
      places = { all, roomy: roomyOf(all, (m) => m.owns) };
      this.byType.set(type, places);
    }
    return places;
  }

  /** Those of the places that are of this node's group. */
  nearPlaces(entity: string): readonly Member[] {
    return this.places(entity).filter((m) => m.group === this.groupName);
  }

  /** The member that shall own the entity while no member does: the preferred one that is not overloaded. Undefined if none is known. */
  placeOf(entity: string): Member | undefined {
    return placeOf(entity, this.placesOf(entity).roomy);
  }

  /** True if `me` shall own the entity while no member does; also while the view does not know of any member yet. */
  belongsTo(entity: string, me: number): boolean {
    const place = this.placeOf(entity);
    return place === undefined ? me !== this.leaving : place.incarnation === me;
  }

  /** True if `me` is the preferred node of the entity, whatever the loads are: what is idle there stays when a member joins. */
  prefers(entity: string, me: number): boolean {
    const preferred = placeOf(entity, this.places(entity));
    return preferred === undefined || preferred.incarnation === me;
  }

  /**
   * Whether the entity, while nobody owns it, is for the master of this node's group to place. Of several groups that declared a
   * type it is the one of the node that the ring names among all of them: every node agrees, and each group has its share.
   */
  isHome(entity: string): boolean {
    return this.placeOf(entity)?.group === this.groupName;
  }

  /** The master that is to place the entity, if its record stands. */
  masterOf(entity: string): Leader | undefined {
    const place = this.placeOf(entity);
    return place === undefined ? undefined : this.leaders.get(place.group);
  }
}
