/** Starting and stopping a donation, and saying what went wrong where the peer's own state does not. */
import type { DonateOptions, Peer } from '@unfed/client';
import type { ManifestHash, Span } from '@unfed/protocol';
import { chosenPool, type Connection } from './connection.ts';
import { ObservableValue } from './observable.ts';
import type { SettingsStore } from './settings.ts';
import type { UrlOptions } from './url-options.ts';

export interface DonationControlView {
  /** A start or a stop is under way. */
  readonly busy: boolean;
  readonly problem: string | undefined;
}

export interface DonationRequest {
  readonly manifest: ManifestHash;
  readonly span?: Span;
}

export interface DonationParts {
  readonly connection: Connection;
  readonly settings: SettingsStore;
  readonly options: UrlOptions;
}

export class DonationControl extends ObservableValue<DonationControlView> {
  readonly #parts: DonationParts;

  constructor(parts: DonationParts) {
    super({ busy: false, problem: undefined });
    this.#parts = parts;
  }

  async start(request: DonationRequest): Promise<void> {
    const { settings, options } = this.#parts;
    const donateOptions: DonateOptions = {
      ...request,
      memoryBytesMax: settings.view.donationMemoryMiB * 2 ** 20,
      backend: options.backend ?? 'auto',
    };
    await this.#do((peer) => peer.donation.start(donateOptions));
  }

  async stop(): Promise<void> {
    await this.#do((peer) => peer.donation.stop());
  }

  /** Starts the span that the page's address asks for, as soon as a pool is known. */
  async startFromAddress(signal: AbortSignal): Promise<void> {
    const { donate } = this.#parts.options;
    if (donate === undefined) return;
    const pool = await this.#parts.connection.until(
      (view) => (view.peer === undefined ? undefined : chosenPool(view, undefined)),
      signal,
    );
    await this.start({ manifest: pool.manifest, span: donate });
  }

  async #do(work: (peer: Peer) => Promise<void>): Promise<void> {
    const { peer } = this.#parts.connection.view;
    if (peer === undefined) return;
    this.set({ busy: true, problem: undefined });
    let problem: string | undefined;
    try {
      await work(peer);
    } catch (error) {
      // A failed state says it itself.
      if (peer.donation.state.kind !== 'failed') problem = error instanceof Error ? error.message : String(error);
    }
    this.set({ busy: false, problem });
  }
}
