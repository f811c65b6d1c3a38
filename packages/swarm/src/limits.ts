/** Limits on fetching. Units stand last in the names. */

/** Requests to one seed at the same time. */
export const requestsMax = 4;
/** Without a byte for so long, a response counts as stalled. */
export const stallMsMax = 20_000;
/** Tries in a row that bring not one more verified chunk. */
export const triesMax = 4;
/** The first wait between tries; each further one is twice as long. */
export const backoffMs = 250;
export const backoffMsMax = 8_000;

/** Chunks of one write to a store: 8 are nearly twice as fast as one on Chromium's disk. */
export const storeBatchChunksMax = 8;
/** Chunks read at the same time while a shard is put together. */
export const assemblyReadsMax = 2;
/** What a volunteer lends of the disk unless told otherwise. */
export const storeCapBytes = 8 * 1024 ** 3;
