/** Every limit of the tools, in one place. */

/** Waiting for `chromium --version`. */
export const probeTimeoutMs = 20_000;
/** Downloading a Chromium. */
export const installTimeoutMs = 10 * 60_000;
/** A relay or volunteer that has not said that it is ready by then has failed. */
export const readyTimeoutMs = 120_000;
/** From SIGTERM to SIGKILL for a child. */
export const stopTimeoutMs = 5_000;
/** How often a tool started by npm looks whether npm is still there. */
export const parentPollMs = 1_000;
/** Ports tried, counting up from the wanted one. */
export const portTriesMax = 50;
/** The end of a child's output that is kept to explain its failure. */
export const outputTailCharsMax = 4_000;
/** The demo's whole answer. */
export const demoTimeoutMs = 5 * 60_000;
