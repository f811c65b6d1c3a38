/** Before a relay has sent its directory, an absent peer means nothing: whoever decides by it waits for this first. */
import type { Network } from '@unfed/network';
import { asError } from '@unfed/protocol';
import { RelayUnreachableError } from './errors.ts';
import * as limits from './limits.ts';

/** @throws RelayUnreachableError when no relay answers in time, the signal's reason */
export async function directoryReady(
  network: Pick<Network, 'directory' | 'relayState'>,
  signal?: AbortSignal,
): Promise<void> {
  const { directory } = network;
  if (directory.whole) return;
  const timeout = AbortSignal.timeout(limits.directoryWaitMsMax);
  const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  both.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const unlisten = directory.onChange(() => {
      if (!directory.whole) return;
      unlisten();
      resolve();
    });
    both.addEventListener('abort', () => {
      unlisten();
      const { relayState } = network;
      const detail = relayState.kind === 'retrying' ? relayState.error : 'no answer yet';
      const unreachable = new RelayUnreachableError(limits.directoryWaitMsMax, detail);
      reject(signal?.aborted === true ? asError(signal.reason) : unreachable);
    });
  });
}
