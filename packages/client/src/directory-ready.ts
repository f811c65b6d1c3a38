/** Before a relay has sent its directory, an absent peer means nothing: whoever decides by it waits for this first. */
import type { Network } from '@unfed/network';
import { asError, startDeadline } from '@unfed/protocol';
import { RelayUnreachableError } from './errors.ts';
import * as limits from './limits.ts';

/** @throws RelayUnreachableError when no relay answers in time, the signal's reason */
export async function directoryReady(
  network: Pick<Network, 'directory' | 'relayState'>,
  signal?: AbortSignal,
): Promise<void> {
  const { directory } = network;
  if (directory.whole) return;
  signal?.throwIfAborted();
  const deadline = startDeadline(limits.directoryWaitMsMax, new Error('no directory came'), signal);
  let unlisten = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      unlisten = directory.onChange(() => {
        if (directory.whole) resolve();
      });
      deadline.signal.addEventListener('abort', () => {
        const { relayState } = network;
        const detail = relayState.kind === 'retrying' ? relayState.error : 'no answer yet';
        const unreachable = new RelayUnreachableError(limits.directoryWaitMsMax, detail);
        reject(signal?.aborted === true ? asError(signal.reason) : unreachable);
      });
    });
  } finally {
    unlisten();
    deadline.end();
  }
}
