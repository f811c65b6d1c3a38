import { limits, randomIdentity } from '@unfed/protocol';
import { linkSuite } from '@unfed/testing/suites';
import { createNetwork, createRelay, type Network, type RelayNode } from './index.node.ts';

const isIntroduced = (address: string): boolean => address.includes('/p2p-circuit/webrtc');

async function untilReachable(network: Network): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = (): void => {
      if (network.addresses.some(isIntroduced)) resolve();
    };
    network.onChange(check);
    check();
  });
}

async function room(): Promise<{ relay: RelayNode; a: Network; b: Network; stop(): Promise<void> }> {
  const relay = await createRelay({ identity: randomIdentity() });
  const relays = [{ peer: relay.peer, addresses: relay.addresses }];
  const make = (): Promise<Network> =>
    createNetwork({ identity: randomIdentity(), relays, iceServers: [], allowPrivateAddresses: true });
  const [a, b] = await Promise.all([make(), make()]);
  await Promise.all([untilReachable(a), untilReachable(b)]);
  const stop = async (): Promise<void> => {
    await Promise.all([a.stop(), b.stop()]);
    await relay.stop();
  };
  return { relay, a, b, stop };
}

for (const way of ['webrtc-direct', 'webrtc introduced by a relay'] as const) {
  linkSuite(`libp2p, ${way}`, async () => {
    const { a, b, stop } = await room();
    const addresses = (network: Network): string[] =>
      network.addresses.filter((address) => isIntroduced(address) === (way !== 'webrtc-direct'));
    return {
      a: { links: a, addresses: addresses(a) },
      b: { links: b, addresses: addresses(b) },
      stranger: randomIdentity().peer,
      frameBytesMax: limits.frameBytesMax,
      stop,
    };
  });
}
