/**
 * For how long a relay has listed each peer, all times together: what guards are chosen by. Time on the list costs
 * whoever wants to be chosen a connection for as long; when a peer first came would cost nothing to wait for.
 */
import { InvalidValueError, peerId, type PeerId } from '@unfed/protocol';
import * as v from 'valibot';
import * as limits from './limits.ts';

interface Time {
  /** Up to when it was last listed, the time under way not counted. */
  readonly beforeMs: number;
  /** When the time under way began; undefined while the peer is not listed. */
  readonly sinceMs: number | undefined;
  /** When it was last listed, ms since 1970. */
  readonly lastMs: number;
}

const wholeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const schema = v.strictObject({
  version: v.literal(1),
  /** Peer, ms listed, when last (ms since 1970). */
  peers: v.array(v.strictTuple([v.string(), wholeMs, wholeMs])),
});

export class ListedTimes {
  readonly #times = new Map<PeerId, Time>();

  get size(): number {
    return this.#times.size;
  }

  /** The peer is listed from now on; without effect while it is. */
  begin(peer: PeerId, nowMs: number): void {
    const time = this.#times.get(peer);
    if (time?.sinceMs !== undefined) return;
    this.#times.set(peer, { beforeMs: time?.beforeMs ?? 0, sinceMs: nowMs, lastMs: nowMs });
    if (this.#times.size > limits.listedPeersMax) this.#forget(nowMs);
  }

  /** The peer is not listed any more. */
  end(peer: PeerId, nowMs: number): void {
    if (this.#times.get(peer)?.sinceMs === undefined) return;
    this.#times.set(peer, { beforeMs: this.listedMs(peer, nowMs), sinceMs: undefined, lastMs: nowMs });
  }

  /** @returns ms, whole; 0 for a peer that never was */
  listedMs(peer: PeerId, nowMs: number): number {
    const time = this.#times.get(peer);
    if (time === undefined) return 0;
    // A clock that was set back takes nothing away.
    return time.beforeMs + Math.max(0, Math.floor(nowMs - (time.sinceMs ?? nowMs)));
  }

  /** As text to be kept across restarts, with the times under way counted up to now. */
  encode(nowMs: number): string {
    this.#forget(nowMs);
    const peers = [...this.#times].map(([peer, { sinceMs, lastMs }]) => {
      const atMs = sinceMs === undefined ? lastMs : nowMs;
      return [peer, this.listedMs(peer, nowMs), Math.max(0, Math.floor(atMs))];
    });
    return JSON.stringify({ version: 1, peers });
  }

  /** @throws InvalidValueError when the text is not what `encode` gave */
  static decode(text: string): ListedTimes {
    const times = new ListedTimes();
    try {
      for (const [peer, beforeMs, lastMs] of v.parse(schema, JSON.parse(text)).peers) {
        times.#times.set(peerId(peer), { beforeMs, sinceMs: undefined, lastMs });
      }
    } catch (cause) {
      throw new InvalidValueError('times of listed peers', 'what a relay wrote', text.slice(0, 80), { cause });
    }
    return times;
  }

  /**
   * Who was away for long; and beyond the limit, of those who are away, who was listed shortest: many that come and go
   * push out each other, and nobody who stayed.
   */
  #forget(nowMs: number): void {
    const away = [...this.#times].filter(([, { sinceMs }]) => sinceMs === undefined);
    for (const [peer, { lastMs }] of away) if (nowMs - lastMs > limits.listedForgetMs) this.#times.delete(peer);
    const over = this.#times.size - limits.listedPeersKept;
    if (over <= 0) return;
    const shortest = away.sort(([, a], [, b]) => a.beforeMs - b.beforeMs);
    for (const [peer] of shortest.slice(0, over)) this.#times.delete(peer);
  }
}
