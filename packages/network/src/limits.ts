/** Every limit of this package: name, unit last, default. Sizes of frames themselves are in @unfed/protocol. */
import { directoryProtocol, limits as protocolLimits, swarmProtocol } from '@unfed/protocol';

/** Of a link's frame: the word before it. */
const linkHeaderBytes = 4;
/**
 * Bytes of one libp2p message on a link: with libp2p's own framing (13 bytes at most) a data-channel message stays
 * below 4.1 kB. Chrome's SCTP sends about 4.6 kB of one message and then waits for a round trip.
 */
export const messageBytesMax = 4080;
/** libp2p's framing of one message (F4), with a little room. */
export const messageOverheadBytes = 16;
/**
 * Bulk gains more from fewer messages than it loses by a round trip here and there: its longest frame is one message, so
 * that nothing is cut and put together again.
 */
export const messageBytesMaxByProtocol: Readonly<Record<string, number>> = {
  [swarmProtocol]: linkHeaderBytes + protocolLimits.swarmFrameBytesMax,
};
/** What the WebRTC transports may put into one data-channel message: links keep to less where less is right. */
export const dataChannelMessageBytesMax = linkHeaderBytes + protocolLimits.swarmFrameBytesMax + messageOverheadBytes;
/** When a bulk link is woken to send on: well before its data channel's queue is empty. */
export const dataChannelLowBytes = 512 << 10;
/** Above this, a data channel's queue counts as full and links wait for it to drain. */
export const dataChannelBufferedBytesMax = 1 << 20;

/** Bytes that a sender may have under way that the receiver's handler has not taken yet, headers included. */
export const linkWindowBytes = 8 << 20;
/** A receiver grants new credit when this much was taken: a frame of any allowed length then always finds room. */
export const linkCreditStepBytes = linkWindowBytes >> 2;
/** Frames that callers gave to `send` without waiting for it. */
export const linkSendQueueBytesMax = 16 << 20;

/** Longest frame by protocol; `frameBytesMax` of @unfed/protocol for all others. */
export const frameBytesMaxByProtocol: Readonly<Record<string, number>> = {
  [directoryProtocol]: protocolLimits.directoryFrameBytesMax,
  [swarmProtocol]: protocolLimits.swarmFrameBytesMax,
};

/** An established link older than this is given up for a new one of the same peer: its end has evidently lost it. */
export const linkCrossingMs = 3000;
/** How long a stream may take to be welcomed by the other end. */
export const linkWelcomeTimeoutMs = 5000;
/** How long a closing link waits for its goodbye to arrive. */
export const linkGoodbyeTimeoutMs = 500;
/** Tries to reach a peer before it counts as unreachable, and the waits between them. */
export const linkTriesMax = 4;
export const linkRetryFirstMs = 150;
export const linkRetryMaxMs = 2000;
/** One try over addresses that need no relay, and one through a relay. */
export const dialDirectTimeoutMs = 4000;
export const dialThroughRelayTimeoutMs = 8000;
/** Addresses of one peer that are tried. */
export const dialAddressesMax = 8;
/** Links being opened at once, over all peers. */
export const pendingOpensMax = 128;

/** Streams of one protocol that one connection may open to us: the link, and its replacement while they cross. */
export const inboundStreamsMax = 4;
export const connectionsMax = 256;
/** Both ways, while two cross, with the relayed one that introduced them. */
export const connectionsPerPeerMax = 6;
export const connectionsPendingMax = 64;
/** New connections a second from one host; the many tabs of one machine count as one host. */
export const connectionsPerHostPerSecondMax = 64;

/** A relay that does not answer is tried again after these waits, doubling from first to max. */
export const relayRetryFirstMs = 250;
export const relayRetryMaxMs = 15_000;
export const relayDialTimeoutMs = 10_000;

/**
 * Each end of a connection says every second that it is alive; after this many seconds of silence the connection is
 * closed. Seconds in which this very process was too busy to look do not count, so a long run on either side is
 * survived up to the limit, and a closed tab is seen within 8 s.
 */
export const heartbeatMs = 1000;
export const heartbeatSilentTicksMax = 7;
/** What is left of them for a peer that a relay says has gone. */
export const heartbeatSuspectTicks = 3;
/** Connections that carry no link beside one that does, or relayed ones beside a direct one, are closed after this. */
export const connectionSpareTicks = 5;

/** How often expired announcements are dropped. */
export const directorySweepMs = 1000;
/** A peer sends its own announcement at most this often; the newest wins. */
export const announceIntervalMs = 500;
/** What a directory takes from one peer: a bucket of this many announcements, refilled at the rate. */
export const announcementsBurst = 20;
export const announcementsPerSecond = 4;
/** Bytes of announcements in one frame of the directory. */
export const directoryBatchBytes = 256 << 10;
/** Peers whose time on the list a relay remembers; beyond the most, it forgets down to so many. */
export const listedPeersMax = 40_000;
export const listedPeersKept = 32_768;
/** Time on the list is forgotten when a peer was away for so long. */
export const listedForgetMs = 90 * 24 * 3_600_000;

/** Defaults of a relay. */
export const relayReservationsMax = 4096;
export const relayConnectionsMax = 8192;
/** Signalling needs some 10 kB; what a peer may send through the relay otherwise is small on purpose. */
export const relayedBytesMax = 1 << 20;
export const relayedMsMax = 120_000;
export const relayReservationMs = 3_600_000;
/** Connects that one peer may have under way through the relay. */
export const relayHopStreamsMax = 64;
