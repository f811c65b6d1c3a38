import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { RequestWindow, type Asked } from './request-window.ts';

const pieceBytes = limits.requestBytes;
const partBytes = limits.partBytesMax;

interface Line {
  readonly links: number;
  /** Of a packet, one way, without waiting. */
  readonly delayMs: number;
  readonly bytesPerMs: number;
}

interface Part {
  readonly window: RequestWindow;
  readonly asked: Asked;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Peers that answer at once over one line; what they send waits in its buffer for its turn. Seen in the second half. */
function fetchOver({ links, delayMs, bytesPerMs }: Line): { use: number; waitMsMax: number } {
  const windows = Array.from({ length: links }, () => new RequestWindow());
  const arrivals = new Map<number, Part[]>();
  const endMs = 20_000;
  let freeMs = 0;
  let bytes = 0;
  let waitMsMax = 0;
  for (let nowMs = 0; nowMs < endMs; nowMs++) {
    const isSeen = nowMs > endMs / 2;
    for (const { window, asked, isFirst, isLast } of arrivals.get(nowMs) ?? []) {
      if (isFirst) window.answered(asked, nowMs);
      window.came(partBytes);
      if (isLast) window.done(asked, nowMs);
      if (isSeen) bytes += partBytes;
    }
    for (const window of windows) {
      while (window.hasRoom(pieceBytes, limits.window)) {
        const asked = window.asked(pieceBytes, nowMs);
        const sentMs = Math.max(freeMs, nowMs + delayMs);
        if (isSeen) waitMsMax = Math.max(waitMsMax, sentMs - nowMs - delayMs);
        freeMs = sentMs + pieceBytes / bytesPerMs;
        for (let sent = partBytes; sent <= pieceBytes; sent += partBytes) {
          const dueMs = Math.ceil(sentMs + sent / bytesPerMs + delayMs);
          const part = { window, asked, isFirst: sent === partBytes, isLast: sent === pieceBytes };
          arrivals.set(dueMs, [...(arrivals.get(dueMs) ?? []), part]);
        }
      }
    }
  }
  return { use: bytes / ((bytesPerMs * endMs) / 2), waitMsMax };
}

describe('the window of requests', () => {
  const lines = [1, 4, 8].flatMap((links) => [5, 20, 50].map((delayMs) => ({ links, delayMs })));

  it.each(lines)('P10: $links links fill a line of $delayMs ms, and let little wait in it', ({ links, delayMs }) => {
    const bytesPerMs = 5_000;
    const { use, waitMsMax } = fetchOver({ links, delayMs, bytesPerMs });
    expect(use).toBeGreaterThan(0.95);
    // The first answers waited behind the others' first windows: all round trips seem longer by as much.
    const firstWindowsMs = (links * limits.window.bytesMin) / bytesPerMs;
    expect(waitMsMax).toBeLessThan(limits.window.queueMs + firstWindowsMs);
  });

  it('P10: always lets one piece be under way', () => {
    const window = new RequestWindow();
    expect(window.hasRoom(pieceBytes, limits.windowLimited)).toBe(true);
    const asked = window.asked(pieceBytes, 0);
    window.came(pieceBytes);
    window.done(asked, 60_000);
    expect(window.hasRoom(pieceBytes, limits.windowLimited)).toBe(true);
  });

  it('P10: asks a peer of unknown rate for little', () => {
    const window = new RequestWindow();
    let bytes = 0;
    for (; window.hasRoom(pieceBytes, limits.window); bytes += pieceBytes) window.asked(pieceBytes, 0);
    expect(bytes).toBe(limits.window.bytesMin);
  });

  it('P10: forgets what will not come', () => {
    const window = new RequestWindow();
    window.asked(limits.window.bytesMin, 0);
    expect(window.hasRoom(pieceBytes, limits.window)).toBe(false);
    window.freed(limits.window.bytesMin);
    expect(window.hasRoom(pieceBytes, limits.window)).toBe(true);
  });
});
