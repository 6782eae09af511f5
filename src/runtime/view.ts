import { typeOfKey } from '../core/ids.js';
import type { Leader, Member, MembersAnswer } from '../core/log/control-operations.js';
import { roomyOf } from '../core/placement/choose.js';
import { placeOf } from '../core/placement/rendezvous.js';

interface Places {
  readonly all: readonly Member[];
  /** The members of `all` that are not overloaded. */
  readonly roomy: readonly Member[];
}

/**
 * The live members, as this node last read them from the store. A view is never more than advice: where owners and masters
 * matter, the log or the epoch checks them.
 */
export class View {
  /** Live members of this node's service group that have handlers, lowest serverId first. */
  group: readonly Member[] = [];
  /** Live members of all service groups. */
  members: readonly Member[] = [];
  /** The master of the group, if its record is in force. */
  leader: Leader | undefined;
  /** The last master of the group, if its record has lapsed; 0 otherwise. */
  lapsed = 0;
  private live: ReadonlyMap<number, Member> = new Map();
  private listed: ReadonlySet<number> = new Set();
  private leaders: ReadonlyMap<string, Leader> = new Map();
  private readonly byType = new Map<string, Places>();

  /** This node's incarnation while it drains and takes no new work; 0 otherwise. */
  private leaving = 0;

  constructor(private readonly groupName: string) {}

  /** Takes a newer membership snapshot. Returns whether members joined or left. */
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

  /** True if the store lists the incarnation at all, dead or alive. */
  isMember(incarnation: number): boolean {
    return this.listed.has(incarnation);
  }

  /** Undefined for a member that is not live. */
  memberOf(incarnation: number): Member | undefined {
    return this.live.get(incarnation);
  }

  isLive(incarnation: number): boolean {
    return this.live.has(incarnation);
  }

  /** True if a member other than `me`, of any group, takes new work. */
  othersTakeWork(me: number): boolean {
    return this.members.some((m) => m.incarnation !== me && m.eligible && m.types.length > 0);
  }

  /** '' for a member that is not live. */
  serverIdOf(incarnation: number): string {
    return this.live.get(incarnation)?.serverId ?? '';
  }

  /** True if the incarnation is a live member of this node's service group. */
  isNear(incarnation: number): boolean {
    return this.live.get(incarnation)?.group === this.groupName;
  }

  /** Excludes `incarnation`, which drains, from all places. */
  leave(incarnation: number): void {
    this.leaving = incarnation;
    this.byType.clear();
  }

  /** The live members, of any group, that declared the type of this entity. Draining or degraded ones count only if all are. */
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

  /** Returns those of the places that are in this node's group. */
  nearPlaces(entity: string): readonly Member[] {
    return this.places(entity).filter((m) => m.group === this.groupName);
  }

  /** The member that is to own the entity while none does: the preferred one that is not overloaded. Undefined if none lives. */
  placeOf(entity: string): Member | undefined {
    return placeOf(entity, this.placesOf(entity).roomy);
  }

  /** True if `me` is to own the entity while no member does; also while the view does not know of any member yet. */
  belongsTo(entity: string, me: number): boolean {
    const place = this.placeOf(entity);
    return place === undefined ? me !== this.leaving : place.incarnation === me;
  }

  /** True if `me` is the preferred node of the entity, whatever the loads are: an idle entity stays there when a member joins. */
  prefers(entity: string, me: number): boolean {
    const preferred = placeOf(entity, this.places(entity));
    return preferred === undefined || preferred.incarnation === me;
  }

  /**
   * True if the master of this node's group is to place the entity while no member owns it. If several groups declared the type,
   * that is the group of the node that rendezvous hashing chooses among all of them: every node agrees, and each group has its
   * share.
   */
  isHome(entity: string): boolean {
    return this.placeOf(entity)?.group === this.groupName;
  }

  /** Returns the master that is to place the entity, if its record is in force. */
  masterOf(entity: string): Leader | undefined {
    const place = this.placeOf(entity);
    return place === undefined ? undefined : this.leaders.get(place.group);
  }
}
