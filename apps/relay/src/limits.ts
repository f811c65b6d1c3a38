/** Limits of the relay: on what one source may ask for, and on what it holds for all. Units stand last in the names. */

/** Sockets open at a time: page, files and WebSockets. */
export const socketsMax = 10_000;
export const socketsPerSourceMax = 512;
/** A page and its parts are some 40 requests. */
export const requestBurstMax = 1200;
export const requestsPerSecond = 100;
export const upgradeBurstMax = 300;
export const upgradesPerSecond = 20;
/** Sources that are remembered at a time; a full memory forgets the one that asked longest ago. */
export const sourcesMax = 20_000;

export const headerBytesMax = 16_384;
export const headersTimeoutMs = 10_000;
export const requestTimeoutMs = 30_000;
/** Without a byte either way for so long, a socket that is no WebSocket is closed. */
export const idleTimeoutMs = 60_000;
export const keepAliveTimeoutMs = 10_000;
/** How long open answers may take to end when the relay stops. */
export const stopTimeoutMs = 3_000;

export const modelsMax = 256;
/** The least time between two looks at the folder of models. */
export const rescanMs = 2_000;

/** A binding request with all that ICE adds is some 100 bytes. */
export const stunRequestBytesMax = 548;
export const stunBurstMax = 100;
export const stunPerSecond = 20;
/** All sources together: what a flood from made-up addresses could be answered with. */
export const stunTotalBurstMax = 10_000;
export const stunTotalPerSecond = 5_000;

export const assetMaxAgeSeconds = 31_536_000;

/** How often the times of listed peers are written to disk: what a crash may cost them. */
export const listedWriteMs = 300_000;
