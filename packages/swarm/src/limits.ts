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
/** After so long without a seed's answer, peers are asked for a manifest, too. */
export const manifestPatienceMs = 3_000;
/** What is read and sent of manifests and signatures for one link: the largest manifest, twice. */
export const manifestBytesSpentMax = 32 << 20;

/** Chunks of one write to a store: 8 are nearly twice as fast as one on Chromium's disk. */
export const storeBatchChunksMax = 8;
/** What a volunteer lends of the disk unless told otherwise. */
export const storeCapBytes = 8 * 1024 ** 3;
/** A file that was not finished for so long belongs to a process that died. */
export const unfinishedFileMsMax = 3_600_000;

/** Bytes of a chunk in one frame of the exchange: with its header it is a frame of the protocol's longest. */
export const partBytesMax = 64 << 10;
/** Chunks named in one `gained` frame. */
export const gainedChunksMax = 4096;
/** How soon peers are told of what was stored, together with what is stored meanwhile. */
export const gainedSoonMs = 50;

/** Requests that one peer may have waiting with us: a window and its endgame, with room for cancels on the way. */
export const requestsWaitingMax = 64;
/** Requests of one peer over that, or for what it was told we lack, before its link ends. */
export const refusalsMax = 64;
/** Models that two peers exchange on one link. */
export const slotsMax = 8;

/** Chunks that one peer may be asked for at the same time; whatever its rate. */
export const windowChunksMax = 16;
/** Chunks that a peer of unknown rate is asked for. */
export const windowChunksFirst = 2;
/** Beside the round trip, what is asked for in advance: the time that we, busy, may take to ask for more. */
export const windowSlackMs = 300;
/** The shortest time over which a rate is measured. */
export const rateSampleMs = 250;
/** Chunks taken at random before the rarest come first, so that there is soon something to give. */
export const randomChunksFirst = 2;
/** Peers that are asked for the same chunk when nothing else is left to ask for. */
export const endgameCopiesMax = 3;
/** A duplicate must promise to come this much sooner than what is under way. */
export const endgameGain = 1.5;
/** A peer that sends nothing for so long while asked is passed over; doubling with every time. */
export const peerStallMs = 8_000;
/** Silences in a row after which a peer is not asked again. */
export const peerStallsMax = 3;

/** Chunks that the origin is asked for at the same time, where there are no peers. */
export const originWindowChunks = 4;
/** At first it is one, and one more with every so many that came: peers may be about to come, and a slow line passes on little. */
export const originWindowStep = 4;
/** How long peers that were announced are waited for before the origin is asked for what nobody here has. */
export const originGraceMs = 5_000;
/** Without a byte of any peer for so long, the origin is asked for what peers have too. */
export const originPatienceMs = 10_000;
/** In a larger swarm they are waited for in proportion: the origin serves so many as well as a crowd of peers does. */
export const originCrowdMax = 8;
/** While a chunk does not come, twice as many may ask after each of these: a rumour is everywhere in less. */
export const originTurnMs = 2_000;
/**
 * Chunks of the origin that nobody took on, of which others wait for some, before more are fetched: what the line was
 * seen to send in this time, one at least. On a line of 1 Mbit/s one chunk takes 8 s; its next one must not wait for it.
 */
export const originAheadMs = 6_000;
export const originAheadMax = 12;
/** What nobody took on in so long, nobody here is after; the slowest lines pass a chunk on within it. */
export const originSpreadMs = 20_000;
/** After this it is asked who has a chunk that somebody said to fetch: it may have gone, or the origin is slow. */
export const originClaimMs = 30_000;
/** Likewise of what others are known to have, when peers here have had nothing else to give. */
export const originElsewhereMs = 10_000;
/** Likewise of what peers here had, and went with: others may just have got it, and have still to say so. */
export const originVanishedMs = 5_000;
/** How often who misses a chunk asks who has it, each time after twice as long. */
export const originDoubtsMax = 3;
/** How long an answer may take, there and back through all the swarm. */
export const originAnswerMs = 3_000;
/** How long a rank among the announced peers holds. */
export const originRankMs = 5_000;

/** Rounds of one chunk that are told, up to three for each time that the origin is asked for it; the last one says that it is held. */
export const rumourRoundsMax = 59;
/** What more peers here hold is known around here: nobody needs to be told. */
export const rumourCopiesMax = 2;
/** What was heard is passed on so soon, together with what is heard meanwhile. */
export const rumourMs = 50;

/** Peers that may download from us at the same time: by what they give, and one more by turns. */
export const uploadSlotsRegular = 4;
/** Fewer where that would leave each of them less than this: a chunk should come within 4 s, and be passed on. */
export const uploadSlotBytesPerSecond = 256 << 10;
export const uploadSlotsOptimistic = 1;
export const rechokeMs = 5_000;
/** Rounds of choking that an optimistic slot lasts. */
export const optimisticRounds = 3;
/** What a token bucket holds, in ms of its rate. */
export const bucketMs = 250;

/** Peers of one model that we dial; the others came to us. */
export const neighboursDialledMax = 16;
/** Links of the exchange with all peers together. */
export const exchangesMax = 64;
/** After a link that failed or ended, the peer is dialled again after this, doubling. */
export const redialMs = 10_000;
export const redialMsMax = 300_000;
/** How often a download looks after itself: stalls, rates, peers. */
export const tickMs = 500;
/** Chunks whose puts are under way, which bounds the bytes in memory. */
export const putsMax = 8;
/** While a download is limited, a request asks for so much at once: steps of an answer then wait less. */
export const limitedRequestBytes = 32 << 10;
/** A first answer that took longer says how busy the peer is, not how far away. */
export const rttMsMax = 2_000;
/** Changes are told at most this often. */
export const notifyMs = 100;
/** How soon after a change of interest it is looked at who may download. */
export const rechokeSoonMs = 20;
/** Links of the exchange that are being opened at the same time. */
export const dialsMax = 4;
/** While downloads are limited, chunks that one peer is asked for. */
export const windowChunksLimited = 1;
/** How long a peer that was just linked has for its first words, before the origin is asked instead. */
export const helloMsMax = 1_500;
/** How often peers are looked for while something is missing, also without news from the directory. */
export const findMs = 2_000;
/** What is left, after every round of choking, of the fastest rate that was seen. */
export const peakDecay = 0.98;

/** Bytes of one request: chunks are asked for in pieces, since what was asked for cannot be taken back from the line. */
export const requestBytes = 64 << 10;
/** Requests that one peer has under way at most: half of what it lets wait. */
export const requestsUnderWayMax = 48;
/**
 * What one peer has under way: its rate × (round trip + queue), the queue being what may wait in the buffers of a line, and
 * also the time that we, busy, may take to ask for more. At least so much that its line is never without anything to send:
 * after every pause, Chrome's SCTP begins with four packets.
 */
export const window = { queueMs: 75, bytesMin: 4 * requestBytes };
/** The same while a download is limited. */
export const windowLimited = { queueMs: 20, bytesMin: 2 * limitedRequestBytes };
