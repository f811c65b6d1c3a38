/** Every limit of the engine, with its unit last in the name. */

/** A session that nobody used for so long gives its KV cache back. */
export const idleEvictionMs = 5 * 60_000;
/** Only a session idle for so long makes room for another. */
export const idleMakesRoomMs = 60_000;
/** How often idle sessions are looked for while any session is open. */
export const sweepIntervalMs = 30_000;
/** Sessions of one span, whatever their size. */
export const sessionsMax = 1024;

/** The largest difference from the known answers, as a part of their largest value, that a right backend shows. */
export const selfTestTolerance = 1e-4;

/** Decode steps that are thrown away, then measured, when a span's speed is taken. */
export const measureWarmupSteps = 2;
export const measureSteps = 8;
/** A slow backend is measured by fewer steps. */
export const measureMsMax = 4000;
/** Steps and time for the short benchmark that chooses between backends. */
export const compareSteps = 5;
export const compareMsMax = 2000;

/** How long a worker may take to end a step and give its memory back in order; then it is ended. */
export const disposeMsMax = 1000;
