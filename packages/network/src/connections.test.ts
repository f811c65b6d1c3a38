import { randomIdentity } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spareConnections, transportName, type ConnectionFacts } from './connections.ts';

const [self, one, two] = [randomIdentity().peer, randomIdentity().peer, randomIdentity().peer];

const facts: fc.Arbitrary<ConnectionFacts[]> = fc
  .array(
    fc.record({
      peer: fc.constantFrom(one, two),
      relayed: fc.boolean(),
      openedBySelf: fc.boolean(),
      links: fc.nat(2),
    }),
    { maxLength: 8 },
  )
  .map((all) => all.map((each, i) => ({ ...each, id: `${i}`, openedBy: each.openedBySelf ? self : each.peer })));

describe('connections', () => {
  it('C1: of those to one peer, none with a link is spare, and one that is as direct as any stays', () => {
    fc.assert(
      fc.property(facts, (all) => {
        const spare = new Set(spareConnections(all));
        for (const fact of all) if (fact.links > 0) expect(spare.has(fact.id)).toBe(false);
        for (const peer of [one, two]) {
          const before = all.filter((fact) => fact.peer === peer);
          const after = before.filter((fact) => !spare.has(fact.id));
          const hasDirect = (some: ConnectionFacts[]): boolean => some.some((fact) => !fact.relayed);
          expect(hasDirect(after)).toBe(hasDirect(before));
          expect(after.length > 0).toBe(before.length > 0);
        }
      }),
    );
  });

  it('C2: of two idle ones, both ends keep the one that the lower peer id opened', () => {
    const [low, high] = [one, two].sort() as [typeof one, typeof two];
    const seenBy = (peer: typeof one): ConnectionFacts[] => [
      { id: 'of-low', peer, relayed: false, openedBy: low, links: 0 },
      { id: 'of-high', peer, relayed: false, openedBy: high, links: 0 },
    ];
    expect(spareConnections(seenBy(high))).toEqual(['of-high']);
    expect(spareConnections(seenBy(low))).toEqual(['of-high']);
  });

  it('are named by the way that the bytes take', () => {
    expect(transportName('/ip4/127.0.0.1/tcp/1/ws/p2p/R')).toBe('websocket');
    expect(transportName('/ip4/127.0.0.1/tcp/1/ws/p2p/R/p2p-circuit/p2p/B')).toBe('relayed');
    expect(transportName('/ip4/127.0.0.1/tcp/1/ws/p2p/R/p2p-circuit/webrtc/p2p/B')).toBe('webrtc');
    expect(transportName('/webrtc/p2p/B')).toBe('webrtc');
    expect(transportName('/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/x/p2p/B')).toBe('webrtc-direct');
  });
});
