/** Every limit of this package. Units stand last in the names. */

/** How long an announcement lives, and how often it is made anew. */
export const announcementLifeMs = 60_000;
export const announceEveryMs = 20_000;
/** Changes of load are announced at most this often. */
export const announceSoonestMs = 1_000;

/** How long a chat waits for the relay's directory before it says that the relay cannot be reached. */
export const directoryWaitMsMax = 10_000;
/** Other stages tried for one answer before its error is shown. */
export const routeAttemptsMax = 3;
/** What one failure adds to the expected time of a peer's steps: far over what any stage that works takes. */
export const failurePenaltyMs = 60_000;
export const penaltyMsMax = 600_000;
/** A penalty is halved in this time, and forgotten below the least. */
export const penaltyHalfLifeMs = 120_000;
export const penaltyMsMin = 1;
/** Peers whose failures are remembered. */
export const penaltiesMax = 512;
/** A conversation's sessions at the stages are given back after this long without a question. */
export const routeIdleMsMax = 4 * 60_000;

/** Positions reserved beyond the prompt and the answer, so that a next turn fits without a new route. */
export const positionsSpare = 256;
/** Reservations are whole multiples of this. */
export const positionsStep = 128;
/** No session reserves more, whatever the model allows. */
export const sessionPositionsMax = 8192;
export const answerTokensDefault = 512;

/** Weights and caches of a volunteer, where the person set nothing. */
export const donationBytesDefault = 1 << 30;
/** The part of it that is kept for sessions' caches. */
export const cacheShare = 0.25;
/** Listeners hear of changes at most this often. */
export const changeEveryMs = 50;

/** Manifests of pools that are announced, asked for or missed at a time: their hashes are strangers' words. */
export const manifestsAskedMax = 64;
/** A manifest that could not be had is asked for again after this long. */
export const manifestRetryMs = 15_000;

/** How often rates, seeds and the share of the line are looked at while chunks are exchanged. */
export const weightsTickMs = 500;
/** What the store holds is counted at most this often. */
export const weightsCountMs = 400;
/** Chunks of a peer without a disk. */
export const memoryStoreBytesMax = 512 << 20;

/** While steps of an answer pass, what chunks may take of the rate that they had before, each way. */
export const bulkShare = 0.4;
export const bulkBytesPerSecondMin = 256 << 10;
export const bulkBytesPerSecondMax = 8 << 20;
/** The same where no chunk has passed yet. */
export const bulkBytesPerSecondUnknown = 2 << 20;
/** A stage counts as busy for so long after a step. */
export const stepLullMs = 2_000;

/** `/relay.json` is a few hundred characters; more than this is not a relay's answer. */
export const relayInfoCharsMax = 65_536;
export const relayInfoWordCharsMax = 1024;
export const iceServersMax = 16;
export const relayModelsMax = 256;

/** Embedding, head, tokenizer and own layers that a chat fetches and holds. Models of 70 billion parameters stay below. */
export const endsBytesMax = 4 * 1024 ** 3;
/** Caches of a chat's own layers: 8,192 positions of 8 layers as in a model of 8 billion parameters. */
export const ownCacheBytesMax = 512 << 20;

/** Guards of the sample, and how long each stays. */
export const guardsKept = 3;
export const guardLifeMs = 30 * 24 * 3_600_000;
/** The sample with those that were taken because none of it could serve: the most that a person has in one life of a guard. */
export const guardsMax = 6;
/** No guard must have been listed for so long before another is taken: a relay that restarts lists nobody for a moment. */
export const guardAbsentMs = 3_600_000;
/** Peers tried as a guard that is taken because none of the sample can serve. */
export const guardsAskedMax = 16;
/** Time on the list that makes a peer long-lived. */
export const guardListedMs = 24 * 3_600_000;
/** Failures from which on a guard rests; a success halves them, so that one that fails more often than not gets there. */
export const guardStrikesBorne = 3;
export const guardStrikesMax = 16;
/** The first rest, doubled with every further failure up to the longest. */
export const guardRestFirstMs = 10 * 60_000;
export const guardRestMaxMs = 6 * 3_600_000;

/** Forwarders behind the guard, where the person set nothing. */
export const forwardersDefault = 1;
/** Choices of forwarders that are tried with one guard before it counts as one that cannot serve. */
export const pathTriesMax = 64;
/** Circuits for one conversation: so many at once, and then one more each time. Each shows more peers that it exists. */
export const rebuildsBurst = 6;
export const rebuildEveryMs = 60_000;

/** Links that are kept open to peers that may follow in circuits: stages behind this one, and forwarders. */
export const neighbourStagesMax = 4;
export const neighbourForwardersMax = 4;
/** With those that were opened for layers that this peer no longer serves. */
export const neighbourLinksMax = 16;
/** How often neighbours are looked for at most, and how long one that did not answer is left alone. */
export const neighboursEveryMs = 5_000;
export const neighbourRetryMs = 120_000;
