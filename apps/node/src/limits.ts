/** Every limit of this command. Units stand last in the names. */

/** How long the relay may be away at the start before this gives up, how long one try may take, and the wait between. */
export const relayWaitMsMax = 60_000;
export const relayTryMsMax = 8_000;
export const relayRetryMs = 500;
