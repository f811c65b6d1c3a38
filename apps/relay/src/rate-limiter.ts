/** Token buckets: each source may do so much at once, and so much a second in the long run. Memory is bounded. */
interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export interface RateLimiterOptions {
  readonly burstMax: number;
  readonly perSecond: number;
  readonly sourcesMax: number;
  /** ms, never going back. Default: performance.now. */
  readonly nowMs?: () => number;
}

export class RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #nowMs: () => number;
  /** In the order of last use: what stands first is forgotten first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimiterOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get sources(): number {
    return this.#buckets.size;
  }

  /** @returns whether the source may go on; if so, that is counted */
  allows(source: string): boolean {
    const { burstMax, perSecond, sourcesMax } = this.#options;
    const nowMs = this.#nowMs();
    const bucket = this.#buckets.get(source) ?? { tokens: burstMax, filledAtMs: nowMs };
    bucket.tokens = Math.min(burstMax, bucket.tokens + ((nowMs - bucket.filledAtMs) / 1000) * perSecond);
    bucket.filledAtMs = nowMs;
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > sourcesMax && oldest !== undefined) this.#buckets.delete(oldest);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
