/**
 * The hops of one conversation's circuit: the guard, forwarders drawn at random, and the stages of a plan. No peer stands in
 * it twice, and no two of one operator or network.
 */
import { NoRouteError, planRoute, type Hop } from '@unfed/inference';
import {
  UnfedError,
  type Announcement,
  type ListingDirectory,
  type ManifestHash,
  type PeerId,
  type Span,
} from '@unfed/protocol';
import type { GuardCandidate, GuardSample } from './guard-sample.ts';
import { areKin, kinLabels } from './hop-kin.ts';
import * as limits from './limits.ts';

/** Hops behind the guard that only forward. With none the guard knows the pool: it links to the first and the last stage. */
export type ForwarderCount = 0 | 1 | 2;

export interface CircuitPath {
  readonly guard: PeerId;
  /** A relay is guard where no volunteer can be: it knows the client's address anyway, and whom it introduced when. */
  readonly guardIs: 'volunteer' | 'relay';
  /** Behind the guard, in order. */
  readonly forwarders: readonly PeerId[];
  readonly stages: readonly Hop[];
}

export interface PathRequest {
  readonly directory: Pick<ListingDirectory, 'announcements' | 'listing'>;
  readonly guards: Pick<GuardSample, 'pick'>;
  readonly manifest: ManifestHash;
  /** The model's name, for errors. */
  readonly model: string;
  /** Layers to cover: all, less what the client runs itself. */
  readonly span: Span;
  readonly forwarders?: ForwarderCount;
  /** Relays: never forwarders, and guards only where no volunteer can be. */
  readonly relays: readonly PeerId[];
  /** The identity with which this person volunteers: it may serve its own layers, and neither guards nor forwards. */
  readonly self: PeerId;
  /** Peers of one operator or network are allowed, as on one machine. */
  readonly local: boolean;
  /** Peers that failed this conversation. A guard among them keeps its place: its sample counts that. */
  readonly without?: ReadonlySet<PeerId>;
  /** What is added to the expected cost of a peer that failed, ms. */
  readonly penaltyMs?: (peer: PeerId) => number;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** No circuit can be built from the peers that are there. */
export class NoPathError extends UnfedError {
  readonly code = 'no-path';
  readonly reason: 'guard' | 'forwarder' | 'kin';

  constructor(reason: NoPathError['reason'], model: string) {
    super(`no circuit to ${model}: ${reasonText[reason]}`);
    this.reason = reason;
  }
}

const reasonText = {
  guard: 'no peer is there that can be its guard; wait for a volunteer who forwards',
  forwarder:
    'no forwarder is there behind the guard; wait for a volunteer who forwards, or choose fewer forwarders, which protects less',
  kin: 'the peers that are there belong to one operator or network, and together could learn who asks; wait for others',
} as const satisfies Record<NoPathError['reason'], string>;

/**
 * Every allowed path may be drawn: forwarders at random among all that take circuits, stages as `planRoute` draws them.
 * @throws NoPathError, NoRouteError naming the layers that nobody serves
 */
export function chooseCircuitPath(request: PathRequest): CircuitPath {
  const pool = new HopPool(request);
  const count = request.forwarders ?? limits.forwardersDefault;
  const drafts = new Map<PeerId, Draft | undefined>();
  const draft = (guard: PeerId): Draft | undefined => {
    if (!drafts.has(guard)) drafts.set(guard, pool.draft(guard, count));
    return drafts.get(guard);
  };
  const picked = request.guards.pick(guardCandidates(request), (peer) => draft(peer) !== undefined);
  const relay = request.relays.find((peer) => pool.takesCircuits(peer) && draft(peer) !== undefined);
  const guard = picked === undefined || (picked.resting && relay !== undefined) ? relay : picked.peer;
  const rest = guard === undefined ? undefined : draft(guard);
  if (guard === undefined || rest === undefined) throw pool.whyNone(count);
  return { guard, guardIs: guard === relay ? 'relay' : 'volunteer', ...rest };
}

/** Every volunteer of which circuits can be made now. */
export function guardCandidates({
  directory,
  relays,
  self,
  local,
}: Pick<PathRequest, 'directory' | 'relays' | 'self' | 'local'>): GuardCandidate[] {
  return directory.announcements().flatMap((each) => {
    if (each.hopKeys.length === 0 || each.peer === self || relays.includes(each.peer)) return [];
    const listing = directory.listing(each.peer);
    return [{ peer: each.peer, listedMs: listing.listedMs, kin: kinLabels(each, listing, local) }];
  });
}

type Draft = Pick<CircuitPath, 'forwarders' | 'stages'>;

/** The peers of which circuits can be made now. */
class HopPool {
  readonly #request: PathRequest;
  /** Those that announce hop keys. */
  readonly #announcements: readonly Announcement[];
  readonly #kin: ReadonlyMap<PeerId, readonly string[]>;
  readonly #random: () => number;

  constructor(request: PathRequest) {
    const { directory, local, random = Math.random } = request;
    this.#request = request;
    this.#random = random;
    this.#announcements = directory.announcements().filter(({ hopKeys }) => hopKeys.length > 0);
    this.#kin = new Map(
      this.#announcements.map((each) => [each.peer, kinLabels(each, directory.listing(each.peer), local)]),
    );
  }

  takesCircuits(peer: PeerId): boolean {
    return this.#kin.has(peer);
  }

  /** What follows behind this guard; undefined where nothing fits. */
  draft(guard: PeerId, count: ForwarderCount): Draft | undefined {
    // Without this, every choice of forwarders would be tried for a guard that none can help.
    if (count > 0 && this.#plan([guard]) === undefined) return undefined;
    let tries = 0;
    const extend = (hops: readonly PeerId[]): Draft | undefined => {
      if (hops.length === count + 1) {
        tries++;
        const stages = this.#plan(hops);
        return stages === undefined ? undefined : { forwarders: hops.slice(1), stages };
      }
      const fits = this.#volunteers().filter(
        (peer) => this.#request.without?.has(peer) !== true && this.#mayJoin(hops, peer),
      );
      // One with the same labels excludes the same peers: many names of one operator are one try.
      const failed = new Set<string>();
      while (fits.length > 0 && tries < limits.pathTriesMax) {
        const [next] = fits.splice(Math.floor(this.#random() * fits.length), 1);
        const kin = this.#kinOf(next).join();
        if (failed.has(kin)) continue;
        const found = extend([...hops, next]);
        if (found !== undefined) return found;
        if (kin !== '') failed.add(kin);
      }
      return undefined;
    };
    return extend([guard]);
  }

  /** Which error there is to show. */
  whyNone(count: ForwarderCount): NoPathError | NoRouteError {
    const { model } = this.#request;
    try {
      this.#planOf(this.#announcements, () => []);
    } catch (error) {
      if (error instanceof NoRouteError) return error;
      throw error;
    }
    const some = this.#volunteers().slice(0, limits.guardsAskedMax);
    if (count > 0 && some.some((peer) => this.draft(peer, 0) !== undefined)) return new NoPathError('forwarder', model);
    const isKin = !this.#request.local && some.some((peer) => this.#planBesides(peer));
    return new NoPathError(isKin ? 'kin' : 'guard', model);
  }

  #volunteers(): PeerId[] {
    const { relays, self } = this.#request;
    return this.#announcements.map(({ peer }) => peer).filter((peer) => peer !== self && !relays.includes(peer));
  }

  #kinOf(peer: PeerId): readonly string[] {
    return this.#kin.get(peer) ?? [];
  }

  #mayJoin(hops: readonly PeerId[], peer: PeerId): boolean {
    return hops.every((hop) => hop !== peer && !areKin(this.#kinOf(hop), this.#kinOf(peer)));
  }

  /** @returns undefined where no stages cover the layers besides these hops */
  #plan(hops: readonly PeerId[]): Hop[] | undefined {
    const left = this.#announcements.filter(({ peer }) => this.#mayJoin(hops, peer));
    return this.#tryPlan(left, (peer) => this.#kinOf(peer));
  }

  /** Is there a plan without this peer, whoever is kin? */
  #planBesides(peer: PeerId): boolean {
    const left = this.#announcements.filter((each) => each.peer !== peer);
    return this.#tryPlan(left, () => []) !== undefined;
  }

  #tryPlan(announcements: readonly Announcement[], kinOf: (peer: PeerId) => readonly string[]): Hop[] | undefined {
    try {
      return this.#planOf(announcements, kinOf);
    } catch (error) {
      if (error instanceof NoRouteError) return undefined;
      throw error;
    }
  }

  #planOf(announcements: readonly Announcement[], kinOf: (peer: PeerId) => readonly string[]): Hop[] {
    const { manifest, model, span, without, penaltyMs } = this.#request;
    return planRoute({
      announcements,
      manifest,
      model,
      span,
      kinOf,
      random: this.#random,
      ...(without === undefined ? {} : { without }),
      ...(penaltyMs === undefined ? {} : { penaltyMs }),
    });
  }
}
