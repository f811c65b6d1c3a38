/** Opens a link to a peer by the addresses of its own announcement: whoever named the peer named no place to dial. */
import { startDeadline, type Directory, type Link, type LinkOptions, type PeerId } from '@unfed/protocol';
import { StageProtocolError, StepTimeoutError } from './errors.ts';
import * as limits from './limits.ts';

export interface AnnouncedDial {
  readonly links: { readonly self: PeerId; open(peer: PeerId, options?: LinkOptions): Promise<Link> };
  readonly directory: Directory;
}

/** @throws StageProtocolError next-unknown, StepTimeoutError, LinkError, the signal's reason */
export async function dialAnnounced(
  { links, directory }: AnnouncedDial,
  peer: PeerId,
  signal?: AbortSignal,
): Promise<Link> {
  const announcement = directory.announcements().find((a) => a.peer === peer);
  if (announcement === undefined && peer !== links.self) {
    throw new StageProtocolError('next-unknown', `the next peer ${peer.slice(-8)} is not in the directory`);
  }
  const late = new StepTimeoutError(limits.nextDialMsMax, `dialling the next peer ${peer.slice(-8)}`);
  const deadline = startDeadline(limits.nextDialMsMax, late, signal);
  try {
    return await links.open(peer, { addresses: announcement?.addresses ?? [], signal: deadline.signal });
  } finally {
    deadline.end();
  }
}
