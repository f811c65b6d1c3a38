/**
 * A Link over one libp2p stream. Credit makes the back-pressure: WebRTC's data channels cannot be paused by the
 * receiver, so a sender stops by itself when the other end's handler has not taken what is under way.
 */
import type { Stream } from '@libp2p/interface';
import {
  LinkError,
  limits as protocolLimits,
  UnfedError,
  type FrameHandler,
  type Link,
  type PeerId,
} from '@unfed/protocol';
import { deferred, type Deferred } from './deferred.ts';
import {
  encodeCredit,
  encodeGoodbye,
  encodeMessages,
  FrameDecoder,
  headerBytes,
  type FrameWord,
} from './frame-codec.ts';
import * as limits from './limits.ts';
import { outletOf, type Outlet } from './outlet.ts';

export interface StreamLinkInit {
  readonly stream: Stream;
  readonly peer: PeerId;
  readonly protocol: string;
  readonly relayed: boolean;
  /** Who opened the stream. */
  readonly openedBy: PeerId;
  /** Called whenever anything comes: a sign of life of the connection. */
  readonly onHeard?: () => void;
}

interface Outgoing {
  readonly frame: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: UnfedError) => void;
}

export class StreamLink implements Link {
  readonly peer: PeerId;
  readonly protocol: string;
  readonly relayed: boolean;
  readonly openedBy: PeerId;
  readonly openedAtMs = performance.now();
  readonly closed: Promise<UnfedError | undefined>;
  /** Resolves with the other end's first credit; rejects when the stream ends before. */
  readonly welcomed: Promise<void>;

  readonly #stream: Stream;
  readonly #outlet: Outlet;
  readonly #frameBytesMax: number;
  readonly #messageBytesMax: number;
  readonly #welcome: Deferred<void>;
  readonly #end: Deferred<UnfedError | undefined>;
  #isOpen = true;
  #gone = Promise.resolve();

  readonly #outgoing: Outgoing[] = [];
  #outgoingBytes = 0;
  #writing = false;
  /** True while a frame is partly on the stream: no word of control may come between its pieces. */
  #midFrame = false;
  #goodbyeAfterFrame = false;
  /** Bytes, headers included, that the other end has room for. */
  #credit = 0;
  /** Wakes the writer: credit came, the stream drained, or the link ended. */
  #wake: (() => void) | undefined;

  #incoming: Uint8Array[] = [];
  #incomingHead = 0;
  #handler: FrameHandler | undefined;
  #handling = false;
  /** What the other end may still send, and what was taken since the last grant. */
  #granted = 0;
  #taken = 0;

  constructor({ stream, peer, protocol, relayed, openedBy, onHeard }: StreamLinkInit) {
    this.peer = peer;
    this.protocol = protocol;
    this.relayed = relayed;
    this.openedBy = openedBy;
    this.#stream = stream;
    this.#frameBytesMax = limits.frameBytesMaxByProtocol[protocol] ?? protocolLimits.frameBytesMax;
    this.#messageBytesMax = limits.messageBytesMaxByProtocol[protocol] ?? limits.messageBytesMax;
    this.#welcome = deferred<void>();
    this.#end = deferred<UnfedError | undefined>();
    this.welcomed = this.#welcome.promise;
    // Whoever does not wait for the welcome learns of the end from `closed`.
    this.welcomed.catch(() => undefined);
    this.closed = this.#end.promise;
    const decoder = new FrameDecoder(this.#frameBytesMax, {
      frame: (frame) => this.#take(frame),
      word: (word) => this.#obey(word),
    });
    this.#outlet = outletOf(stream, protocol in limits.messageBytesMaxByProtocol ? limits.dataChannelLowBytes : 0);
    stream.addEventListener('drain', () => this.#wake?.());
    stream.addEventListener('close', () => this.#lose());
    stream.addEventListener('remoteCloseWrite', () => this.#lose());
    stream.addEventListener('message', ({ data }) => {
      onHeard?.();
      for (const piece of data instanceof Uint8Array ? [data] : data) this.#read(decoder, piece);
    });
    this.#taken = limits.linkWindowBytes;
    this.#grant();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Resolves when the goodbye of `close()` has reached the other end, or had its time. Never rejects. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  send(frame: Uint8Array): Promise<void> {
    if (!this.#isOpen) return Promise.reject(this.#error('closed', 'it is closed; open it again'));
    if (frame.byteLength > this.#frameBytesMax) {
      const detail = `a frame of ${frame.byteLength} bytes; ${this.protocol} takes ${this.#frameBytesMax} at most`;
      return Promise.reject(this.#error('frame-too-long', detail));
    }
    if (this.#outgoing.length > 0 && this.#outgoingBytes + frame.byteLength > limits.linkSendQueueBytesMax) {
      const detail = `${this.#outgoingBytes} bytes wait already; await send() before sending more`;
      return Promise.reject(this.#error('queue-full', detail));
    }
    return new Promise((resolve, reject) => {
      this.#outgoing.push({ frame, resolve, reject });
      this.#outgoingBytes += frame.byteLength;
      void this.#write();
    });
  }

  onFrame(handler: FrameHandler): void {
    if (this.#handler !== undefined) throw this.#error('closed', 'its frame handler is set already; share one');
    this.#handler = handler;
    this.#deliver();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#drop();
    this.#finish(undefined);
    // A frame that is half written is finished first, by its writer, so that the other end sees an orderly end.
    if (this.#midFrame) this.#goodbyeAfterFrame = true;
    else this.#sayGoodbye();
  }

  /** Ends the link at once, with the reason that `closed` gives; the other end sees a reset. */
  abort(error: UnfedError): void {
    if (!this.#isOpen) return;
    this.#drop();
    this.#finish(error);
    this.#stream.abort(error);
  }

  #read(decoder: FrameDecoder, piece: Uint8Array): void {
    if (!this.#isOpen) return;
    try {
      decoder.push(piece);
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      this.abort(cause instanceof LinkError ? cause : this.#error('frame-too-long', detail, cause));
    }
  }

  #take(frame: Uint8Array): void {
    this.#granted -= headerBytes + frame.byteLength;
    if (this.#granted < 0) throw this.#error('queue-full', 'the other end sent more than it was granted');
    this.#incoming.push(frame);
    this.#deliver();
  }

  #obey(word: FrameWord): void {
    if (word.kind === 'goodbye') {
      // What came before it is delivered first; then the link ends.
      this.#incoming.push(goodbye);
      this.#deliver();
      return;
    }
    this.#credit = Math.min(this.#credit + word.bytes, limits.linkWindowBytes);
    this.#welcome.resolve();
    this.#wake?.();
  }

  #deliver(): void {
    while (!this.#handling && this.#incomingHead < this.#incoming.length) {
      const frame = this.#incoming[this.#incomingHead];
      if (frame === undefined || (frame !== goodbye && this.#handler === undefined)) return;
      this.#incomingHead++;
      if (this.#incomingHead === this.#incoming.length || this.#incomingHead === 1024) {
        this.#incoming = this.#incoming.slice(this.#incomingHead);
        this.#incomingHead = 0;
      }
      if (frame === goodbye) this.#endByOther();
      else this.#handle(frame);
    }
  }

  #handle(frame: Uint8Array): void {
    const done = (): void => {
      this.#taken += headerBytes + frame.byteLength;
      this.#grant();
    };
    try {
      const result = this.#handler?.(frame);
      if (result === undefined) return done();
      this.#handling = true;
      result.then(
        () => {
          this.#handling = false;
          done();
          this.#deliver();
        },
        (error: unknown) => this.#refuse(error),
      );
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Forgets what has come and was not taken. */
  #drop(): void {
    this.#incoming = [];
    this.#incomingHead = 0;
  }

  /** The handler failed: what it was given cannot be answered, so the link ends with its error. */
  #refuse(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.abort(error instanceof UnfedError ? error : this.#error('closed', `its handler failed: ${text}`, error));
  }

  /** Grants what was taken, unless a frame is half written: the writer then does it between frames. */
  #grant(): void {
    if (this.#taken < limits.linkCreditStepBytes || this.#midFrame || !this.#isOpen) return;
    this.#granted += this.#taken;
    this.#put(encodeCredit(this.#taken));
    this.#taken = 0;
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    for (let next = this.#outgoing[0]; next !== undefined && this.#isOpen; next = this.#outgoing[0]) {
      const cost = headerBytes + next.frame.byteLength;
      if (this.#credit < cost) await this.#until(() => this.#credit >= cost);
      this.#credit -= cost;
      await this.#writeFrame(next.frame);
      if (!this.#isOpen) return;
      this.#outgoing.shift();
      this.#outgoingBytes -= next.frame.byteLength;
      next.resolve();
      this.#grant();
    }
    this.#writing = false;
  }

  async #writeFrame(frame: Uint8Array): Promise<void> {
    this.#midFrame = true;
    for (const parts of encodeMessages(frame, this.#messageBytesMax)) {
      if (!this.#isOpen && !this.#goodbyeAfterFrame) return;
      if (!this.#put(...parts)) await this.#until(() => !this.#stream.writableNeedsDrain);
    }
    this.#midFrame = false;
    if (this.#goodbyeAfterFrame) this.#sayGoodbye();
  }

  /** Waits for a wake-up after which `ready` holds. libp2p's own `onDrain()` resolves at once after the first drain. */
  async #until(ready: () => boolean): Promise<void> {
    while (this.#isOpen && !ready()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** @returns whether the stream takes more at once */
  #put(...parts: readonly Uint8Array[]): boolean {
    try {
      return this.#outlet.send(parts);
    } catch {
      this.#lose();
      return false;
    }
  }

  #endByOther(): void {
    if (!this.#isOpen) return;
    this.#finish(undefined);
    this.#closeStream();
  }

  #sayGoodbye(): void {
    this.#put(encodeGoodbye());
    this.#closeStream();
  }

  #closeStream(): void {
    this.#gone = this.#stream
      .close({ signal: AbortSignal.timeout(limits.linkGoodbyeTimeoutMs) })
      .catch((error: unknown) => this.#stream.abort(error instanceof Error ? error : new Error(String(error))));
  }

  /** The stream ended. Without a goodbye before, the other end, or the way to it, is gone. What came stays to be taken. */
  #lose(): void {
    if (!this.#isOpen) return;
    if (this.#incoming.at(-1) === goodbye) {
      // All has come; a handler, if there is one, gets it before `closed` resolves.
      if (this.#handler === undefined) this.#finish(undefined);
      return;
    }
    this.#finish(this.#error('peer-left', 'the connection ended without a goodbye; open it again'));
    if (this.#stream.status === 'open') this.#stream.abort(new Error('the other end closed without a goodbye'));
  }

  #finish(error: UnfedError | undefined): void {
    this.#isOpen = false;
    this.#end.resolve(error);
    const reason = error ?? this.#error('closed', 'it was closed before this was sent');
    this.#welcome.reject(reason);
    for (const { reject } of this.#outgoing.splice(0)) reject(reason);
    this.#wake?.();
  }

  #error(failure: ConstructorParameters<typeof LinkError>[0], detail: string, cause?: unknown): LinkError {
    return new LinkError(failure, this.peer, detail, { cause });
  }
}

/** Stands in the queue of incoming frames for the other end's goodbye. */
const goodbye = new Uint8Array(0);
