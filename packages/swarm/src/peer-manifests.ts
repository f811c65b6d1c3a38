/** Fetches a manifest from the peers that exchange its model, one after the other, until one gives the right bytes. */
import * as protocol from '@unfed/protocol';
import type { ManifestHash, PeerId, UnfedError } from '@unfed/protocol';
import { noSource, UnsignedManifestError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import * as limits from './limits.ts';
import type { FetchedManifest, ManifestOptions } from './shard-source.ts';
import { pause, type SwarmClock } from './swarm-clock.ts';

export interface PeerManifestsParts {
  readonly clock: SwarmClock;
  readonly exchanges: ReadonlyMap<PeerId, Exchange>;
  /** Dials peers that exchange a model. */
  readonly find: (model: ManifestHash) => void;
  /** Such peers are being dialled, or linked so newly that they have not said what they exchange. */
  readonly isExpecting: (model: ManifestHash) => boolean;
  readonly ban: (peer: PeerId, reason: UnfedError['code']) => void;
}

export interface PeerManifestOptions extends ManifestOptions {
  readonly signal: AbortSignal;
}

export class PeerManifests {
  readonly #parts: PeerManifestsParts;

  constructor(parts: PeerManifestsParts) {
    this.#parts = parts;
  }

  /** @throws SourceError when nobody has it, UnsignedManifestError, SignatureError, DecodeError, the signal's reason */
  async fetch(hash: ManifestHash, options: PeerManifestOptions): Promise<FetchedManifest> {
    const { clock, exchanges, find, isExpecting } = this.#parts;
    const tried = new Set<PeerId>();
    let refusal: Error = noSource(`${hash}/${protocol.manifestFileName}`);
    for (;;) {
      const untried = [...exchanges.values()].filter((each) => each.names(hash) && !tried.has(each.peer));
      const next = untried.find((each) => each.manifests.isFree);
      if (next === undefined) {
        find(hash);
        if (untried.length === 0 && !isExpecting(hash)) throw refusal;
        await pause(clock, limits.tickMs, options.signal);
        continue;
      }
      tried.add(next.peer);
      const came = await this.#ask(next, hash, options);
      if (came instanceof Error) refusal = came;
      else if (came !== undefined) return came;
    }
  }

  /** @returns undefined where the peer does not give it, an error where it is not signed as it must be */
  async #ask(
    { peer, manifests }: Exchange,
    hash: ManifestHash,
    { publisher, signal }: PeerManifestOptions,
  ): Promise<FetchedManifest | Error | undefined> {
    const bytes = await manifests.fetch(hash, 'manifest', signal);
    if (bytes === undefined) return undefined;
    let manifest;
    try {
      manifest = protocol.decodeManifest(bytes, hash);
    } catch (error) {
      if (!(error instanceof protocol.HashMismatchError)) throw error;
      this.#parts.ban(peer, 'bad-bytes');
      return undefined;
    }
    if (publisher === undefined) return { manifest, bytes };
    const signature = await manifests.fetch(hash, 'signature', signal);
    if (signature === undefined) return new UnsignedManifestError(hash, publisher);
    try {
      protocol.verifyManifestSignature(hash, signature, publisher);
    } catch (error) {
      // A manifest may be signed by several, and the peer may keep another's.
      return protocol.asError(error);
    }
    return { manifest, bytes, signature };
  }
}
