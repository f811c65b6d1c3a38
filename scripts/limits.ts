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
/** Lines of a child that are kept to explain its failure, and what is kept of each. */
export const outputLinesMax = 200;
export const outputLineCharsMax = 2_000;
/** The demo's whole answer. */
export const demoTimeoutMs = 5 * 60_000;
