/** A peer that speaks `/unfed/swarm/1` frame by frame, and may say anything. */
import { swarmProtocol, type Identity, type Link, type PeerId } from '@unfed/protocol';
import type { MemoryNetwork } from '@unfed/testing';
import { Bitmap } from './bitmap.ts';
import { decodeExchangeFrame, encodeExchangeFrame, type ExchangeFrame } from './exchange-frames.ts';
import { model } from './swarm.fixture.ts';

type Kind = ExchangeFrame['kind'];

export class RawPeer {
  readonly frames: ExchangeFrame[] = [];
  readonly ended: Promise<unknown>;
  readonly #link: Link;
  readonly #waiting: (() => void)[] = [];
  readonly #answer: (frame: ExchangeFrame, peer: RawPeer) => void;

  /** @param answer sees every frame that comes */
  constructor(link: Link, answer: (frame: ExchangeFrame, peer: RawPeer) => void = () => undefined) {
    this.#link = link;
    this.#answer = answer;
    this.ended = link.closed;
    link.onFrame((bytes) => {
      const frame = decodeExchangeFrame(bytes.slice());
      this.frames.push(frame);
      this.#answer(frame, this);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  static async dial(network: MemoryNetwork, from: Identity, to: PeerId): Promise<RawPeer> {
    return new RawPeer(await network.peer(from).open(to, swarmProtocol));
  }

  send(frame: ExchangeFrame): void {
    this.sendBytes(encodeExchangeFrame(frame));
  }

  sendBytes(bytes: Uint8Array): void {
    // What is sent to a link that was ended meanwhile is lost, as it should be.
    this.#link.send(bytes).catch(() => undefined);
  }

  hello(): void {
    this.send({ kind: 'hello', slot: 0, manifest: model.hash });
  }

  /** Claims to hold everything, and lets others download. */
  offerAll(): void {
    this.hello();
    model.manifest.shards.forEach(({ chunks }, shard) => {
      this.send({ kind: 'have', slot: 0, shard, bitmap: Bitmap.full(chunks.length).bytes() });
    });
    this.send({ kind: 'unchoke' });
  }

  /** @returns the first frame of a kind that has come or comes */
  async frame<K extends Kind>(kind: K): Promise<Extract<ExchangeFrame, { kind: K }>> {
    for (;;) {
      const found = this.frames.find((frame) => frame.kind === kind);
      if (found !== undefined) return found as Extract<ExchangeFrame, { kind: K }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
