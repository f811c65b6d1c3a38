import { randomIdentity, type PeerId } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linkCrossingMs } from './limits.ts';
import { isLower, takesIncoming, type OwnSide } from './link-rule.ts';

const peers = [randomIdentity().peer, randomIdentity().peer].sort((a, b) => (isLower(a, b) ? -1 : 1));
const [low, high] = peers as [PeerId, PeerId];

/** What travels about one link between the two; each kind of a link is delivered in order, links overtake each other. */
interface Message {
  readonly to: PeerId;
  readonly kind: 'open' | 'welcome' | 'end';
  readonly openedBy: PeerId;
}

/** Two ends that follow the rule, as PeerLinks does, over channels that deliver in any order. */
class TwoEnds {
  readonly sides = new Map<PeerId, OwnSide>([
    [low, { kind: 'none' }],
    [high, { kind: 'none' }],
  ]);
  readonly inTransit: Message[] = [];

  open(self: PeerId): void {
    if (this.#side(self).kind !== 'none') return;
    this.sides.set(self, { kind: 'opening' });
    this.#send({ to: other(self), kind: 'open', openedBy: self });
  }

  deliver(index: number): void {
    const candidate = this.inTransit[index % this.inTransit.length];
    const message = this.inTransit.find((one) => one.to === candidate?.to && one.openedBy === candidate.openedBy);
    if (message === undefined) return;
    this.inTransit.splice(this.inTransit.indexOf(message), 1);
    const { to: self, kind, openedBy } = message;
    const own = this.#side(self);
    if (kind === 'open') this.#incoming(self, openedBy, own);
    else if (kind === 'welcome' && own.kind === 'opening' && openedBy === self) this.#establish(self, openedBy);
    else if (kind === 'end' && isAbout(own, openedBy, self)) this.sides.set(self, { kind: 'none' });
  }

  #incoming(self: PeerId, openedBy: PeerId, own: OwnSide): void {
    if (!takesIncoming(self, openedBy, own)) return this.#send({ to: openedBy, kind: 'end', openedBy });
    if (own.kind !== 'none') {
      const givenUp = own.kind === 'opening' ? self : own.openedBy;
      if (givenUp !== openedBy) this.#send({ to: openedBy, kind: 'end', openedBy: givenUp });
    }
    this.#establish(self, openedBy);
    this.#send({ to: openedBy, kind: 'welcome', openedBy });
  }

  #establish(self: PeerId, openedBy: PeerId): void {
    this.sides.set(self, { kind: 'established', openedBy, ageMs: 0 });
  }

  #send(message: Message): void {
    this.inTransit.push(message);
  }

  #side(self: PeerId): OwnSide {
    return this.sides.get(self) ?? { kind: 'none' };
  }
}

const other = (self: PeerId): PeerId => (self === low ? high : low);
const isAbout = (own: OwnSide, openedBy: PeerId, self: PeerId): boolean =>
  own.kind === 'opening' ? openedBy === self : own.kind === 'established' && own.openedBy === openedBy;

describe('of two links that cross', () => {
  it('L3: both ends keep the same one, whatever overtakes what', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 40 }), fc.boolean(), (order, lowFirst) => {
        const ends = new TwoEnds();
        const [first, second] = lowFirst ? [low, high] : [high, low];
        ends.open(first);
        let bothOpened = false;
        for (const step of order) {
          if (step === 3 && !bothOpened) {
            ends.open(second);
            bothOpened = true;
          } else if (ends.inTransit.length > 0) ends.deliver(step);
        }
        ends.open(second);
        while (ends.inTransit.length > 0) ends.deliver(0);
        const kept = [...ends.sides.values()];
        expect(kept.map(({ kind }) => kind)).toEqual(['established', 'established']);
        expect(kept[0]).toEqual(kept[1]);
      }),
      { numRuns: 1000 },
    );
  });

  it('L3: it is the one that the lower peer id opened', () => {
    expect(takesIncoming(low, high, { kind: 'opening' })).toBe(false);
    expect(takesIncoming(high, low, { kind: 'opening' })).toBe(true);
    expect(takesIncoming(low, high, { kind: 'established', openedBy: low, ageMs: 0 })).toBe(false);
    expect(takesIncoming(high, low, { kind: 'established', openedBy: high, ageMs: 0 })).toBe(true);
  });

  it('L4: a peer that opens again has lost what it had, so the new link is taken', () => {
    expect(takesIncoming(low, high, { kind: 'established', openedBy: high, ageMs: 0 })).toBe(true);
    expect(takesIncoming(low, high, { kind: 'established', openedBy: low, ageMs: linkCrossingMs + 1 })).toBe(true);
  });
});
