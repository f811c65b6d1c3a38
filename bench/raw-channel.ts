/**
 * A bare data channel between two pages, with nothing of ours on it: what a link is compared with. Nothing handed to a page
 * in here may have a name: tsx marks named functions for Node, and the page does not know its mark.
 */
import type { Page } from '@playwright/test';

interface RawWindow {
  rawConnection: RTCPeerConnection;
  rawChannel: RTCDataChannel;
}

/** Opens a channel from one page to another, which sends back whatever comes. */
export async function openRawChannel(from: Page, to: Page): Promise<void> {
  const offer = await from.evaluate(async () => {
    const page = window as unknown as RawWindow;
    page.rawConnection = new RTCPeerConnection();
    page.rawChannel = page.rawConnection.createDataChannel('raw');
    page.rawChannel.binaryType = 'arraybuffer';
    await page.rawConnection.setLocalDescription();
    while (page.rawConnection.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 20));
    return page.rawConnection.localDescription?.sdp ?? '';
  });
  const answer = await to.evaluate(async (sdp) => {
    const page = window as unknown as RawWindow;
    page.rawConnection = new RTCPeerConnection();
    page.rawConnection.addEventListener('datachannel', ({ channel }) => {
      channel.binaryType = 'arraybuffer';
      channel.addEventListener('message', ({ data }) => channel.send(data as ArrayBuffer));
    });
    await page.rawConnection.setRemoteDescription({ type: 'offer', sdp });
    await page.rawConnection.setLocalDescription();
    while (page.rawConnection.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 20));
    return page.rawConnection.localDescription?.sdp ?? '';
  }, offer);
  await from.evaluate(async (sdp) => {
    const { rawConnection, rawChannel } = window as unknown as RawWindow;
    await rawConnection.setRemoteDescription({ type: 'answer', sdp });
    if (rawChannel.readyState !== 'open') await new Promise((resolve) => rawChannel.addEventListener('open', resolve));
  }, answer);
}

/** @returns the round trips of `count` messages of `bytes`, one after the other, ms */
export function rawRoundTripsMs(from: Page, { bytes, count }: { bytes: number; count: number }): Promise<number[]> {
  return from.evaluate(
    async (options) => {
      const { rawChannel } = window as unknown as RawWindow;
      const roundTripsMs: number[] = [];
      for (let i = 0; i < options.count; i++) {
        const startMs = performance.now();
        const back = new Promise((resolve) => rawChannel.addEventListener('message', resolve, { once: true }));
        rawChannel.send(new Uint8Array(options.bytes));
        await back;
        roundTripsMs.push(performance.now() - startMs);
      }
      return roundTripsMs;
    },
    { bytes, count },
  );
}
