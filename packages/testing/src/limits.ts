/** Limits of the memory network; the same kinds as a real network has. Units stand last in the names. */
import { limits } from '@unfed/protocol';

export const frameBytesMax = limits.frameBytesMax;
/** Bytes on the way or unread, above which `send` waits. */
export const windowBytes = 1 << 20;
/** Bytes on the way, unread or waiting, above which `send` refuses. */
export const queueBytesMax = 4 * limits.frameBytesMax;
/** What every frame counts beside its own bytes, so that empty frames are bounded too. */
export const frameOverheadBytes = 64;
/** A packet of a data channel: what is lost at once. */
export const packetBytes = 1200;
