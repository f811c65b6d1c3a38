/** Keeps the connection to one relay: dials it, waits until it breaks, dials again. libp2p does not by itself. */
import type { Connection, Libp2p } from '@libp2p/interface';
import { errorText } from '@unfed/protocol';
import type { Multiaddr } from '@multiformats/multiaddr';
import { backOffMs, delay } from './event-wait.ts';
import * as limits from './limits.ts';

/** The state of the link to the relay. */
export type RelayState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  /** `nextTryMs`: when it is tried again, in ms since 1970. */
  | { readonly kind: 'retrying'; readonly error: string; readonly nextTryMs: number };

export interface RelayLeaseInit {
  readonly libp2p: Libp2p;
  readonly addresses: readonly Multiaddr[];
  readonly onChange: () => void;
  /** Called for every connection that is made; the signal ends with it. */
  readonly onConnected: (signal: AbortSignal) => void;
}

export class RelayLease {
  readonly #init: RelayLeaseInit;
  readonly #stopping = new AbortController();
  #state: RelayState = { kind: 'connecting' };

  constructor(init: RelayLeaseInit) {
    this.#init = init;
    void this.#keep();
  }

  get state(): RelayState {
    return this.#state;
  }

  stop(): void {
    this.#stopping.abort(new Error('stopped'));
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt++) {
      let error: string;
      try {
        const connection = await this.#dial(signal);
        attempt = -1;
        this.#enter({ kind: 'connected' });
        await this.#whileOpen(connection, signal);
        error = 'the relay closed the connection';
      } catch (cause) {
        // A WebSocket that cannot be opened rejects with its bare event, which says nothing more.
        error = cause instanceof Event ? 'the connection was refused' : errorText(cause);
      }
      if (signal.aborted) return;
      const waitMs = backOffMs(Math.max(0, attempt), limits.relayRetryFirstMs, limits.relayRetryMaxMs);
      this.#enter({ kind: 'retrying', error, nextTryMs: Date.now() + waitMs });
      await delay(waitMs, signal).catch(() => undefined);
    }
  }

  async #dial(signal: AbortSignal): Promise<Connection> {
    const timed = AbortSignal.any([signal, AbortSignal.timeout(limits.relayDialTimeoutMs)]);
    return this.#init.libp2p.dial([...this.#init.addresses], { signal: timed });
  }

  async #whileOpen(connection: Connection, signal: AbortSignal): Promise<void> {
    const open = new AbortController();
    const closed = new Promise<void>((resolve) => {
      connection.addEventListener('close', () => resolve(), { once: true });
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (connection.status !== 'open' || signal.aborted) resolve();
    });
    this.#init.onConnected(open.signal);
    await closed;
    open.abort(new Error('the connection to the relay closed'));
  }

  #enter(state: RelayState): void {
    this.#state = state;
    this.#init.onChange();
  }
}
