/** Every limit of the page, with its unit last in the name. */

/** Asking for `/relay.json`. */
export const relayFetchTimeoutMs = 8_000;
export const relayRetryFirstMs = 1_000;
export const relayRetryMaxMs = 30_000;

/** How long after connecting a pool without volunteers may only be one whose volunteers are not known yet. */
export const directoryGraceMs = 700;

/** What one question may hold before it is counted in tokens. */
export const questionCharsMax = 100_000;
export const conversationTurnsMax = 200;
/** localStorage allows some 5 million characters in all. */
export const conversationStoredCharsMax = 512 * 1024;
export const consentsMax = 64;

/** Positions kept free for the answer when older turns are left out of the prompt. */
export const answerReserveTokens = 64;

/** Where markdown nests deeper, its text is shown as it is. */
export const markdownDepthMax = 16;
/** Longer answers are shown as plain text: lexing them at every token would hold up the page. */
export const markdownCharsMax = 200_000;

export const answerTokensMin = 16;
export const answerTokensMax = 4_096;
export const temperatureMax = 2;
export const seedMax = 2 ** 31 - 1;

export const donationMemoryMinMiB = 256;
export const donationMemoryMaxMiB = 65_536;

export const storeMinMiB = 256;
export const storeMaxMiB = 1024 * 1024;
export const uploadMinKiBPerSecond = 64;
/** The end of the slider; beyond it stands "no limit". */
export const uploadMaxKiBPerSecond = 32 * 1024;

/** The squares of a piece map: how large at most, and how high the whole picture, CSS pixels. */
export const pieceSideMaxPx = 14;
export const pieceMapHeightMaxPx = 112;
/** Finer than this, one square stands for several pieces. */
export const pieceCellsMax = 4096;
