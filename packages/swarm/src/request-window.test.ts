import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { RequestWindow, type Asked } from './request-window.ts';

const pieceBytes = limits.requestBytes;

interface Line {
  readonly links: number;
  /** Of a packet, one way, without waiting. */
  readonly delayMs: number;
  readonly bytesPerMs: number;
  readonly share: typeof limits.window;
  readonly requestBytes: number;
}

interface Part {
  readonly window: RequestWindow;
  readonly asked: Asked;
}

/** Peers that answer at once over one line; what they send waits in its buffer for its turn. Seen in the second half. */
function fetchOver({ links, delayMs, bytesPerMs, share, requestBytes }: Line): { use: number; waitMsMax: number } {
  const windows = Array.from({ length: links }, () => new RequestWindow());
  const arrivals = new Map<number, Part[]>();
  const endMs = 20_000;
  let freeMs = 0;
  let bytes = 0;
  let waitMsMax = 0;
  for (let nowMs = 0; nowMs < endMs; nowMs++) {
    const isSeen = nowMs > endMs / 2;
    for (const { window, asked } of arrivals.get(nowMs) ?? []) {
      window.answered(asked, nowMs);
      window.came(requestBytes);
      window.done(asked, nowMs);
      if (isSeen) bytes += requestBytes;
    }
    for (const window of windows) {
      while (window.hasRoom(requestBytes, share)) {
        const asked = window.asked(requestBytes, nowMs);
        const sentMs = Math.max(freeMs, nowMs + delayMs);
        if (isSeen) waitMsMax = Math.max(waitMsMax, sentMs - nowMs - delayMs);
        freeMs = sentMs + requestBytes / bytesPerMs;
        const dueMs = Math.ceil(freeMs + delayMs);
        arrivals.set(dueMs, [...(arrivals.get(dueMs) ?? []), { window, asked }]);
      }
    }
  }
  return { use: bytes / ((bytesPerMs * endMs) / 2), waitMsMax };
}

describe('the window of requests', () => {
  const lines = [1, 4, 8].flatMap((links) => [5, 20, 50].map((delayMs) => ({ links, delayMs })));

  it.each(lines)('P10: $links links fill a line of $delayMs ms, and let little wait in it', ({ links, delayMs }) => {
    const bytesPerMs = 5_000;
    const [share, requestBytes] = [limits.window, limits.requestBytes];
    const { use, waitMsMax } = fetchOver({ links, delayMs, bytesPerMs, share, requestBytes });
    expect(use).toBeGreaterThan(0.95);
    // The first answers waited behind the others' first windows: all round trips seem longer by as much.
    expect(waitMsMax).toBeLessThan(share.queueMs + (links * share.bytesMin) / bytesPerMs);
  });

  it.each(lines)('P10: while limited, $links links let less wait in a line of $delayMs ms', ({ links, delayMs }) => {
    const bytesPerMs = 5_000;
    const [share, requestBytes] = [limits.windowLimited, limits.limitedRequestBytes];
    const { use, waitMsMax } = fetchOver({ links, delayMs, bytesPerMs, share, requestBytes });
    expect(use).toBeGreaterThan(0.1);
    expect(waitMsMax).toBeLessThan(share.queueMs + (links * share.bytesMin) / bytesPerMs);
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
