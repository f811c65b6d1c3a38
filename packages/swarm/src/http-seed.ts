/**
 * An HTTP seed: a model's files by GET `<baseUrl>/<manifest hash>/<file>`, from the byte that is needed on.
 * One streamed response brings a whole shard, hashed chunk by chunk while it comes: a request a chunk would cost a
 * round trip a chunk and gain nothing, because what was verified before a failure is kept and not asked for again.
 */
import { errorText } from '@unfed/protocol';
import { SourceError, type SourceFailure } from './errors.ts';
import { Gate } from './gate.ts';
import * as limits from './limits.ts';
import type { RetryLimits } from './retry.ts';
import type { ShardSource } from './shard-source.ts';
import { verifiedSource, type RawFiles, type RawRead } from './verified-source.ts';

export interface HttpSeedOptions extends Partial<RetryLimits> {
  /** Where `<manifest hash>/<file>` is found, without a slash at the end: `https://host/models`. */
  readonly baseUrl: string;
  readonly fetch?: typeof fetch;
  readonly stallMsMax?: number;
  readonly requestsMax?: number;
}

export function httpSeed(options: HttpSeedOptions): ShardSource {
  const { triesMax = limits.triesMax, backoffMs = limits.backoffMs, backoffMsMax = limits.backoffMsMax } = options;
  return verifiedSource(new HttpFiles(options), { triesMax, backoffMs, backoffMsMax });
}

/** The same as raw files, for a swarm. */
export function httpFiles(options: HttpSeedOptions): RawFiles {
  return new HttpFiles(options);
}

class HttpFiles implements RawFiles {
  readonly #baseUrl: string;
  readonly #fetch: typeof fetch;
  readonly #stallMsMax: number;
  readonly #gate: Gate;

  constructor(options: HttpSeedOptions) {
    this.#baseUrl = options.baseUrl.replace(/\/+$/, '');
    // Pages refuse a fetch that is called as a method of something else.
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#stallMsMax = options.stallMsMax ?? limits.stallMsMax;
    this.#gate = new Gate(options.requestsMax ?? limits.requestsMax);
  }

  async *read(read: RawRead): AsyncGenerator<Uint8Array, void, void> {
    const leave = await this.#gate.enter(read.signal);
    const watch = new StallWatch(read, this.#stallMsMax);
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    try {
      const response = await watch.guard(this.#request(read, watch.signal));
      checkResponse(response, read);
      reader = response.body?.getReader();
      for (;;) {
        const part = await watch.guard(reader?.read() ?? Promise.resolve({ done: true as const, value: undefined }));
        if (part.done) return;
        yield part.value;
      }
    } finally {
      watch.stop();
      leave();
    }
  }

  #request(read: RawRead, signal: AbortSignal): Promise<Response> {
    const { path, start, until, again } = read;
    return this.#fetch(`${this.#baseUrl}/${path}`, {
      signal,
      headers: isPartial(read) ? { range: `bytes=${start}-${until === undefined ? '' : until - 1}` } : {},
      cache: again ? 'reload' : 'default',
      // A seed that sends us elsewhere would show this device to a host that nobody named.
      redirect: 'error',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
  }
}

/** Ends a request when no byte comes in time, when the caller gives up, or when the reader is done with it. */
class StallWatch {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #read: RawRead;
  readonly #stallMsMax: number;
  // Not AbortSignal.any: in Node 20 its signal may be collected as garbage before it fires.
  readonly #onAbort = (): void => this.#controller.abort(this.#read.signal?.reason);

  constructor(read: RawRead, stallMsMax: number) {
    this.#read = read;
    this.#stallMsMax = stallMsMax;
    this.signal = this.#controller.signal;
    read.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** @throws SourceError for whatever fails in it, and the caller's own reason */
  async guard<T>(step: Promise<T>): Promise<T> {
    const { path, signal } = this.#read;
    const detail = `expected a byte within ${this.#stallMsMax} ms, came none; the seed is too slow or gone`;
    const stalled = new SourceError({ failure: 'stalled', path, transient: true }, detail);
    const timer = setTimeout(() => this.#controller.abort(stalled), this.#stallMsMax);
    try {
      return await this.#untilEnded(step);
    } catch (cause) {
      signal?.throwIfAborted();
      if (this.#controller.signal.aborted) throw stalled;
      const broken = `the seed cannot be reached, or the connection broke: ${errorText(cause)}`;
      throw new SourceError({ failure: 'unreachable', path, transient: true }, broken, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * A read of Node 20's fetch may stay pending when its request is aborted. Not `Promise.race` with one promise for all
   * reads: that keeps every part until the last has come.
   */
  #untilEnded<T>(step: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
      step.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  /** Frees the connection when not all of it was read. */
  stop(): void {
    this.#read.signal?.removeEventListener('abort', this.#onAbort);
    this.#controller.abort();
  }
}

/** A range is asked for only where less than the whole file is wanted. */
function isPartial({ start, until, end }: RawRead): boolean {
  return start > 0 || (until !== undefined && until !== end);
}

type Refuse = (failure: SourceFailure, transient: boolean, detail: string) => never;

/** @throws SourceError unless the answer is the bytes that were asked for */
function checkResponse(response: Response, read: RawRead): void {
  const { path, start } = read;
  const until = read.until ?? read.end;
  const refuse: Refuse = (failure, transient, detail) => {
    throw new SourceError({ failure, path, transient }, detail);
  };
  const expectedStatus = isPartial(read) ? 206 : 200;
  if (response.status === 404) refuse('not-found', false, 'the seed has no such file; check the model and the address');
  if (expectedStatus === 206 && response.status === 200) {
    refuse('wrong-range', false, `expected bytes from ${start} on, came the whole file; this seed takes no ranges`);
  }
  if (response.status !== expectedStatus) {
    const transient = response.status >= 500 || response.status === 408 || response.status === 429;
    refuse('status', transient, `expected status ${expectedStatus}, came ${response.status}`);
  }
  if (/^(text\/html|application\/xhtml)/i.test(response.headers.get('content-type') ?? '')) {
    refuse('html', false, 'expected the bytes of a model, came an HTML page; is there a log-in or a proxy in between?');
  }
  if (isPartial(read)) checkRange(response.headers.get('content-range') ?? 'nothing', read, refuse);
  const length = response.headers.get('content-length');
  const encoded = response.headers.has('content-encoding');
  if (until === undefined || length === null || encoded || Number(length) === until - start) return;
  const failure = Number(length) < until - start ? 'too-short' : 'too-long';
  refuse(failure, false, `expected ${until - start} bytes, came ${length}: another file than the manifest's`);
}

function checkRange(came: string, { start, until, end }: RawRead, refuse: Refuse): void {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(came) ?? [];
  const lastExpected = (until ?? end ?? Number(last) + 1) - 1;
  const isWhole = end === undefined || total === '*' || Number(total) === end;
  if (Number(first) === start && Number(last) === lastExpected && isWhole) return;
  refuse('wrong-range', false, `expected bytes ${start} to ${until ?? end ?? 'the end'}, came ${came.slice(0, 80)}`);
}
