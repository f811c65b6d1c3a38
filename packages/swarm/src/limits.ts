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
