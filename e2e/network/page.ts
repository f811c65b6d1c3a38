/** A peer in a tab, driven by e2e/network.spec.ts through `window.tab`. Its links echo every frame that is no reply. */
import { createNetwork, type Network, type RelayAddress } from '@unfed/network';
import { randomIdentity, type Link, type PeerId } from '@unfed/protocol';

const protocol = '/unfed/echo/1';

/** Bytes of every data-channel message that this tab sent, and the servers that its connections were told of. */
const sentBytes: number[] = [];
const iceServers: unknown[] = [];

const send = RTCDataChannel.prototype.send as (this: RTCDataChannel, data: ArrayBufferView<ArrayBuffer>) => void;
RTCDataChannel.prototype.send = function (this: RTCDataChannel, data: unknown) {
  const view = data as ArrayBufferView<ArrayBuffer>;
  sentBytes.push(view.byteLength);
  send.call(this, view);
};
globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, {
  construct(target, [configuration]: [RTCConfiguration?]) {
    iceServers.push(...(configuration?.iceServers ?? [{ urls: 'the default' }]));
    return new target(configuration);
  },
});

class Tab {
  readonly sentBytes = sentBytes;
  readonly iceServers = iceServers;
  /** Links that are open, both those opened here and those taken. */
  readonly links = new Set<Link>();
  readonly left: PeerId[] = [];
  readonly replies: ((frame: Uint8Array) => void)[] = [];
  #network: Network | undefined;

  get network(): Network {
    if (this.#network === undefined) throw new Error('start() first');
    return this.#network;
  }

  async start(relays: RelayAddress[]): Promise<PeerId> {
    this.#network = await createNetwork({
      identity: randomIdentity(),
      relays,
      iceServers: [],
      allowPrivateAddresses: true,
    });
    this.#network.accept(protocol, (link) => this.#use(link));
    this.#network.onPeerLeft((peer) => this.left.push(peer));
    return this.#network.self;
  }

  isReachable(): boolean {
    return this.network.addresses.some((address) => address.includes('/p2p-circuit/webrtc'));
  }

  async open(peer: PeerId, addresses: readonly string[] = []): Promise<{ relayed: boolean; ms: number }> {
    const start = performance.now();
    const link = await this.network.open(peer, protocol, { addresses });
    this.#use(link);
    return { relayed: link.relayed, ms: performance.now() - start };
  }

  /** Round trips of frames of so many bytes, ms each. */
  async roundTrips(peer: PeerId, bytes: number, count: number): Promise<number[]> {
    const link = await this.network.open(peer, protocol);
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const reply = new Promise<Uint8Array>((resolve) => this.replies.push(resolve));
      await link.send(new Uint8Array(bytes).fill(i));
      const lost = link.closed.then((error) => Promise.reject(error ?? new Error('the other tab closed the link')));
      const frame = await Promise.race([reply, lost]);
      if (frame.byteLength !== bytes || frame[bytes - 1] !== i % 256) throw new Error('another frame came back');
      times.push(performance.now() - start);
    }
    return times;
  }

  #use(link: Link): void {
    if (this.links.has(link)) return;
    this.links.add(link);
    void link.closed.then(() => this.links.delete(link));
    link.onFrame((frame) => {
      const reply = this.replies.shift();
      return reply === undefined ? link.send(frame) : reply(frame);
    });
  }
}

declare global {
  interface Window {
    tab: Tab;
  }
}

window.tab = new Tab();
