/** Two ends of a link in memory. Frames are copied when sent, so that no peer sees another's buffers. */
import { LinkError, UnfedError, type FrameHandler, type Link, type PeerId } from '@unfed/protocol';
import type { MemoryWire } from './memory-wire.ts';
import * as limits from './limits.ts';

/** A sender changed a frame before its `send` had resolved: on a real link that would have sent a mixture. */
export class FrameChangedError extends UnfedError {
  readonly code = 'frame-changed';

  constructor(peer: PeerId) {
    super(`a frame to ${peer.slice(-8)} was changed before its send() had resolved; await send() first`);
  }
}

export interface MemoryLinkLimits {
  readonly frameBytesMax: number;
  readonly windowBytes: number;
  readonly queueBytesMax: number;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: UnfedError) => void;
}

export interface MemoryLinkInit {
  readonly peer: PeerId;
  readonly protocol: string;
  /** Carries what this end sends. */
  readonly wire: MemoryWire;
  readonly limits: MemoryLinkLimits;
  readonly onEnd: (link: MemoryLink) => void;
}

export class MemoryLink implements Link {
  readonly peer: PeerId;
  readonly protocol: string;
  readonly relayed = false;
  readonly closed: Promise<UnfedError | undefined>;
  readonly #init: MemoryLinkInit;
  readonly #resolveClosed: (error: UnfedError | undefined) => void;
  #other: MemoryLink | undefined;
  #ended = false;
  #closedHere = false;
  #handler: FrameHandler | undefined;
  #reading = false;
  readonly #inbox: Uint8Array[] = [];
  /** Sent by this end and not yet taken by the other end's handler. */
  #unreadBytes = 0;
  readonly #waiting: Waiting[] = [];

  constructor(init: MemoryLinkInit) {
    this.#init = init;
    this.peer = init.peer;
    this.protocol = init.protocol;
    let resolveClosed: (error: UnfedError | undefined) => void = () => undefined;
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve;
    });
    this.#resolveClosed = resolveClosed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Makes two ends one link. */
  static join(a: MemoryLink, b: MemoryLink): void {
    a.#other = b;
    b.#other = a;
  }

  async send(frame: Uint8Array): Promise<void> {
    const { frameBytesMax, windowBytes, queueBytesMax } = this.#init.limits;
    if (this.#ended) throw new LinkError('closed', this.peer, `${this.protocol} is closed; open it again`);
    if (frame.byteLength > frameBytesMax) {
      const detail = `expected a frame of at most ${frameBytesMax} bytes, came ${frame.byteLength}; send it in parts`;
      throw new LinkError('frame-too-long', this.peer, detail);
    }
    const cost = frame.byteLength + limits.frameOverheadBytes;
    if (this.#unreadBytes > 0 && this.#unreadBytes + cost > queueBytesMax) {
      const detail = `expected at most ${queueBytesMax} unread bytes, came ${this.#unreadBytes + cost}; await send()`;
      throw new LinkError('queue-full', this.peer, detail);
    }
    const copy = frame.slice();
    this.#unreadBytes += cost;
    this.#init.wire.carry(frame.byteLength, () => this.#other?.receive(copy));
    // Room has to be waited for even where there is some: what follows a send() never runs before it is handed over.
    if (this.#unreadBytes <= windowBytes) await Promise.resolve();
    else await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    if (!same(frame, copy)) throw new FrameChangedError(this.peer);
  }

  onFrame(handler: FrameHandler): void {
    if (this.#handler !== undefined) throw new LinkError('closed', this.peer, 'its frame handler is set already');
    this.#handler = handler;
    void this.#read();
  }

  close(): void {
    this.#closedHere = true;
    this.end(undefined);
    this.#init.wire.carry(0, () => this.#other?.end(undefined));
  }

  /** This end's peer is gone: the other end hears of it after all that was sent. */
  abandon(error: UnfedError): void {
    this.#closedHere = true;
    this.end(undefined);
    this.#init.wire.carry(0, () => this.#other?.end(error));
  }

  /** Ends this end alone, at once. What has come stays for the handler, unless this end closed itself. */
  end(error: UnfedError | undefined): void {
    if (this.#closedHere) this.#inbox.length = 0;
    if (this.#ended) return;
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(new LinkError('closed', this.peer, `${this.protocol} ended while a frame waited`));
    }
    this.#resolveClosed(error);
    this.#init.onEnd(this);
  }

  /** Ends both ends at once; what was on its way is lost. */
  cutOff(): void {
    for (const end of [this, this.#other]) {
      if (end === undefined) continue;
      end.#init.wire.drop();
      end.end(new LinkError('closed', end.peer, 'the connection was cut'));
    }
  }

  receive(frame: Uint8Array): void {
    if (this.#closedHere) return;
    this.#inbox.push(frame);
    void this.#read();
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#handler === undefined) return;
    this.#reading = true;
    try {
      for (let frame = this.#inbox.shift(); frame !== undefined; frame = this.#inbox.shift()) {
        const taken = this.#handler(frame);
        if (taken !== undefined) await taken;
        this.#other?.taken(frame.byteLength + limits.frameOverheadBytes);
      }
    } catch (cause) {
      const detail = `the frame handler of ${this.protocol} failed`;
      this.end(new LinkError('closed', this.peer, detail, { cause }));
      this.close();
    } finally {
      this.#reading = false;
    }
  }

  /** The other end's handler is done with so many bytes. */
  taken(bytes: number): void {
    this.#unreadBytes -= bytes;
    if (this.#unreadBytes > this.#init.limits.windowBytes) return;
    for (const waiting of this.#waiting.splice(0)) waiting.resolve();
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
