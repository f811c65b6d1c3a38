import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { Rumours, type RumourState } from './rumours.ts';

const told: readonly Exclude<RumourState, 'unheard'>[] = ['claimed', 'held', 'needed'];

describe('rumours', () => {
  it('O3: a chunk is claimed, then held, maybe needed, and claimed again; each step is a higher round', () => {
    const rumours = new Rumours(1);
    expect(rumours.stateOf(0)).toBe('unheard');
    let before = 0;
    for (const state of ['claimed', 'held', 'needed', 'claimed', 'held', 'claimed', 'needed', 'held'] as const) {
      rumours.tell(0, state, 0);
      expect(rumours.stateOf(0)).toBe(state);
      expect(rumours.roundOf(0)).toBeGreaterThan(before);
      before = rumours.roundOf(0);
    }
  });

  it('O3: only a higher round is news, and is told once', () => {
    const rumours = new Rumours(3);
    expect(rumours.hear({ chunk: 1, round: 2 }, 0)).toBe(true);
    expect(rumours.hear({ chunk: 1, round: 2 }, 5)).toBe(false);
    expect(rumours.hear({ chunk: 1, round: 1 }, 5)).toBe(false);
    expect(rumours.heardMs(1)).toBe(0);
    expect(rumours.takeNews()).toEqual([{ chunk: 1, round: 2 }]);
    expect(rumours.hasNews).toBe(false);
    expect(rumours.takeNews()).toEqual([]);
    expect(rumours.all()).toEqual([{ chunk: 1, round: 2 }]);
  });

  it('O3: whatever is told in whatever order, all peers come to know the same, and then fall silent', () => {
    const event = fc.record({ at: fc.nat(5), chunk: fc.nat(3), state: fc.constantFrom(...told) });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 40 }),
        fc.array(fc.nat(5), { minLength: 5, maxLength: 5 }),
        (events, tree) => {
          const peers = Array.from({ length: 6 }, () => new Rumours(4));
          // A tree: peer i + 1 is linked to one of those before it.
          const links = tree.map((to, i) => [i + 1, to % (i + 1)] as const);
          for (const { at, chunk, state } of events) peers[at].tell(chunk, state, 0);
          let frames = 0;
          while (peers.some((peer) => peer.hasNews)) {
            for (const [i, peer] of peers.entries()) {
              const news = peer.takeNews();
              for (const [a, b] of links) {
                if (a !== i && b !== i) continue;
                frames += news.length;
                for (const rumour of news) peers[a === i ? b : a].hear(rumour, 0);
              }
            }
          }
          for (const peer of peers) expect(peer.all()).toEqual(peers[0].all());
          expect(frames).toBeLessThanOrEqual(2 * links.length * 4 * limits.rumourRoundsMax);
        },
      ),
    );
  });

  it('O3: rounds end, so that a liar cannot keep a swarm talking', () => {
    const rumours = new Rumours(1);
    for (let i = 0; i < 1000; i++) rumours.tell(0, told[i % told.length], i);
    expect(rumours.roundOf(0)).toBe(limits.rumourRoundsMax);
    expect(rumours.hear({ chunk: 0, round: limits.rumourRoundsMax + 1 }, 0)).toBe(false);
  });
});
