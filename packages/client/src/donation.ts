/** A volunteer's side: fetch layers, test and measure this machine, serve, and say at every moment what is going on. */
import type { Engine, SpanRunner } from '@unfed/engine';
import {
  chooseSpan,
  createStageService,
  type CircuitService,
  type StageLinks,
  type StageService,
} from '@unfed/inference';
import { checkManifestSizes } from '@unfed/model';
import type { Network } from '@unfed/network';
import { layerShard, shardEntry, spanShards, type Manifest, type ManifestHash, type Span } from '@unfed/protocol';
import type { ShardSource } from '@unfed/swarm';
import type { Announcer } from './announcer.ts';
import { directoryReady } from './directory-ready.ts';
import { asUnfedError, MemoryTooSmallError } from './errors.ts';
import * as limits from './limits.ts';
import type { DonateOptions, Donation, DonationState } from './peer.ts';
import type { Platform } from './platform.ts';
import type { DonationWeights } from './weights.ts';

export interface DonationParts {
  readonly platform: Pick<Platform, 'createEngine'>;
  readonly network: Network;
  readonly links: StageLinks;
  /** The hop of this peer, by which circuits reach the stage. */
  readonly circuits: Pick<CircuitService, 'serve'>;
  readonly weights: DonationWeights;
  readonly announcer: Announcer;
  readonly onChange: () => void;
}

export function createDonation(parts: DonationParts): Donation {
  let state: DonationState = { kind: 'off' };
  let running: Running | undefined;

  function show(next: DonationState): void {
    state = next;
    parts.onChange();
  }

  async function end(mine: Running, error: unknown): Promise<void> {
    await mine.stop();
    if (running !== mine) return;
    running = undefined;
    show(mine.stopped ? { kind: 'off' } : { kind: 'failed', error: asUnfedError(error) });
  }

  return {
    get state() {
      return running?.state() ?? state;
    },
    async start(options) {
      const before = running;
      const mine: Running = new Running(parts, show, (error) => void end(mine, error));
      running = mine;
      await before?.stop();
      // Stopped, or started again, in the meantime.
      if (running !== mine) return;
      try {
        await mine.start(options);
      } catch (error) {
        await end(mine, error);
      }
    },
    async stop() {
      const mine = running;
      running = undefined;
      if (mine !== undefined) {
        mine.stopped = true;
        await mine.stop();
      }
      show({ kind: 'off' });
    },
  };
}

interface Loading {
  readonly manifest: Manifest;
  readonly span: Span;
  readonly bytesMax: number;
  readonly source: ShardSource;
}

/** @throws MemoryTooSmallError */
function checkMemory(manifest: Manifest, span: Span, bytesMax: number): void {
  const bytes = spanShards(span).reduce((sum, id) => sum + shardEntry(manifest, id).bytes, 0);
  const neededBytes = bytes / (1 - limits.cacheShare);
  if (neededBytes > bytesMax) throw new MemoryTooSmallError(neededBytes, bytesMax);
}

/** One donation from start to stop. */
class Running {
  /** Set when the person stopped it, so that what then breaks is no failure. */
  stopped = false;
  readonly #parts: DonationParts;
  readonly #show: (state: DonationState) => void;
  readonly #onLost: (error: Error) => void;
  readonly #abort = new AbortController();
  #engine: Engine | undefined;
  #runner: SpanRunner | undefined;
  #service: StageService | undefined;
  #leaveCircuits = (): void => undefined;
  #serving: Extract<DonationState, { kind: 'serving' }> | undefined;

  constructor(parts: DonationParts, show: (state: DonationState) => void, onLost: (error: Error) => void) {
    this.#parts = parts;
    this.#show = show;
    this.#onLost = onLost;
  }

  state(): DonationState | undefined {
    const serving = this.#serving;
    const service = this.#service;
    if (serving === undefined || service === undefined) return undefined;
    const { sessions, positionsServed, decodeSteps, decodeMs } = service;
    return { ...serving, sessions, positionsServed, decodeSteps, decodeMs };
  }

  async start(options: DonateOptions): Promise<void> {
    const { platform, weights, network } = this.#parts;
    const signal = this.#abort.signal;
    this.#show({ kind: 'preparing', note: 'reading what the model is made of' });
    const source = await weights.join(options.manifest, signal);
    const { manifest } = await source.manifest(options.manifest, { signal });
    checkManifestSizes(manifest);
    const bytesMax = options.memoryBytesMax ?? limits.donationBytesDefault;
    const wanted = options.span ?? (await this.#choose(manifest, options.manifest, bytesMax));
    checkMemory(manifest, wanted, bytesMax);
    this.#show({ kind: 'preparing', note: 'starting the runtime and testing it against known answers' });
    const onProgress = (note: string) => this.#show({ kind: 'preparing', note });
    const engine = await platform.createEngine({ backend: options.backend ?? 'auto', signal, onProgress });
    this.#engine = engine;
    signal.throwIfAborted();
    const span = await this.#fetch(manifest, options.manifest, wanted);
    const runner = await this.#load(engine, { manifest, span, bytesMax, source });
    signal.throwIfAborted();
    const stepsPerSecond = await engine.measure(runner, signal);
    signal.throwIfAborted();
    const service = createStageService({
      links: this.#parts.links,
      runner,
      manifest: options.manifest,
      width: manifest.architecture.width,
      directory: network.directory,
      onRunnerLost: this.#onLost,
    });
    this.#service = service;
    this.#leaveCircuits = this.#parts.circuits.serve(service.core);
    this.#serving = {
      kind: 'serving',
      model: manifest.name,
      span,
      backend: runner.backend,
      backendNote: engine.note,
      stepsPerSecond,
      sessions: 0,
      positionsServed: 0,
      decodeSteps: 0,
      decodeMs: 0,
      sinceMs: Date.now(),
    };
    const offer = () => {
      if (signal.aborted) return;
      this.#parts.announcer.offer({
        manifest: options.manifest,
        span,
        stepsPerSecond,
        queueLength: service.sessions,
        backend: runner.backend,
      });
      this.#parts.onChange();
    };
    service.onChange(offer);
    offer();
  }

  async #choose(manifest: Manifest, hash: ManifestHash, bytesMax: number): Promise<Span> {
    const { layers } = manifest.architecture;
    const layerBytes = Math.max(...Array.from({ length: layers }, (_, i) => shardEntry(manifest, layerShard(i)).bytes));
    const layersMax = Math.floor((bytesMax * (1 - limits.cacheShare)) / layerBytes);
    if (layersMax < 1) throw new MemoryTooSmallError(layerBytes / (1 - limits.cacheShare), bytesMax);
    await directoryReady(this.#parts.network, this.#abort.signal);
    const offers = this.#parts.network.directory
      .announcements()
      .flatMap(({ peer, stage }) => (stage?.manifest === hash && peer !== this.#parts.network.self ? [stage] : []));
    return chooseSpan(offers, layers, layersMax);
  }

  /** @returns the span, shorter where the store has no room for all of it */
  #fetch(manifest: Manifest, hash: ManifestHash, wanted: Span): Promise<Span> {
    return this.#parts.weights.fetch({
      hash,
      manifest,
      span: wanted,
      signal: this.#abort.signal,
      onProgress: (span, bytes, bytesTotal) => this.#show({ kind: 'downloading', span, bytes, bytesTotal }),
    });
  }

  async #load(engine: Engine, { manifest, span, bytesMax, source }: Loading): Promise<SpanRunner> {
    const signal = this.#abort.signal;
    signal.throwIfAborted();
    this.#show({ kind: 'preparing', note: 'putting the layers together' });
    const { architecture, quantization } = manifest;
    const runner = await engine.loadSpan(
      {
        architecture,
        quantization,
        span,
        positionsMax: Math.min(architecture.contextLength, limits.sessionPositionsMax),
        cacheBytesMax: Math.floor(bytesMax * limits.cacheShare),
      },
      (id) => source.shard(manifest, id, { signal }),
      { signal, onProgress: (note) => this.#show({ kind: 'preparing', note }) },
    );
    this.#runner = runner;
    return runner;
  }

  /** A second call frees what was loaded since; what is announced by then may be another donation's. */
  async stop(): Promise<void> {
    if (!this.#abort.signal.aborted) {
      this.#abort.abort();
      this.#leaveCircuits();
      this.#service?.stop();
      this.#parts.announcer.offer(null);
      this.#parts.weights.leave();
    }
    this.#serving = undefined;
    await this.#runner?.dispose().catch(() => undefined);
    await this.#engine?.dispose().catch(() => undefined);
    this.#runner = undefined;
    this.#engine = undefined;
  }
}
