/** Every limit on bytes that cross a trust boundary, and on what they may claim. Units stand last in the names. */

/** The unit of transfer and of verification. */
export const chunkBytes = 1 << 20;

/** A manifest of 2,000,000 chunk hashes (2 TB of weights) would be 64 MB; 8 MiB covers 240 GB. */
export const manifestBytesMax = 8 << 20;
export const shardsMax = 1024;
export const shardBytesMax = 8 * 1024 ** 3;
export const tokenizerBytesMax = 64 << 20;
export const configBytesMax = 1 << 20;

export const announcementBytesMax = 4096;
export const announcementLifeMsMax = 60_000;
/** How far another peer's clock may run ahead of ours. */
export const clockSkewMsMax = 30_000;
export const addressesMax = 16;
export const addressCharsMax = 512;
export const operatorCharsMax = 64;
/** Models of which one peer exchanges chunks at the same time. */
export const seedsMax = 8;

/** A whole directory snapshot, and how many announcements it may hold. */
export const directoryFrameBytesMax = 4 << 20;
export const directoryAnnouncementsMax = 4096;
/** A relay's keyed hash of a network, cut to so much: too long to collide by chance. */
export const networkGroupBytes = 16;

/** A step of 128 positions of width 8,192 in float32 is 4 MiB; with its header it still fits. */
export const frameBytesMax = (4 << 20) + 4096;
/** A frame of the swarm: 64 KiB of a chunk, or a bitmap or a list of chunks, with its header. */
export const swarmFrameBytesMax = (64 << 10) + 16;
export const stepPositionsMax = 512;
export const controlFrameBytesMax = 16_384;
export const wireErrorCodeCharsMax = 64;
export const wireErrorMessageCharsMax = 512;

/** What an architecture may claim. Larger models exist on paper only; a graph of this size still has a bound. */
export const layersMax = 512;
export const widthMax = 32_768;
export const ffnWidthMax = 262_144;
export const headsMax = 512;
export const headSizeMax = 512;
export const vocabularyMax = 1_048_576;
export const contextLengthMax = 1_048_576;
