/** Every limit of circuits: name, unit last, default. SPEC.md says what each is for. */

/**
 * One frame on a link: type u8, circuit id u32, body. With the link's length word it is one message of 4,080 bytes, the
 * largest that crosses a distance without an extra round trip. To seal or open a layer was measured to take 21, 22 and
 * 33 µs for cells of 1, 2 and 4 KiB: smaller ones save bytes for a model of a small width alone, and cost every other
 * two to three times the time.
 */
export const cellBytes = 4076;
export const cellHeaderBytes = 5;
export const bodyBytes = cellBytes - cellHeaderBytes;
/** Poly1305. */
export const tagBytes = 16;
/** What a hop removes and fills up again: the tag and the command. */
export const layerBytes = tagBytes + 1;
/** A body without its tag. */
export const plaintextBytes = bodyBytes - tagBytes;

/** Hops of a circuit: forwarders and stages. */
export const hopsMax = 16;
/** Hops that add a layer to data: three forwarders, and the stage. */
export const dataLayersMax = 4;
/** Payload of a control cell: less its command, its length, and the fillers of 15 hops before. */
export const controlBytesMax = plaintextBytes - 3 - layerBytes * (hopsMax - 1);
/** Part of a message in a data cell: less the command and the fillers of 3 hops before, however many there are. */
export const dataCellBytes = plaintextBytes - 1 - layerBytes * (dataLayersMax - 1);

/** Sealed in a handshake: one length for every role, so that who passes it on learns nothing from it. */
export const sealedMessageBytes = 640;
/** Text of a refusal or a failure. */
export const failureMessageCharsMax = 160;
export const failureCodeCharsMax = 64;

/** A message is a step: 512 KiB of hidden states with its header fit. */
export const messageCellsMax = 256;
/** Cells of steps that a client has under way: a forwarder holds no more of one circuit than this. */
export const windowCells = 2 * messageCellsMax;
/** Cells that a peer holds for all circuits, 64 MiB. */
export const heldCellsMax = 16_384;
/** Circuits through one peer, in all and by the link they came on. */
export const circuitsMax = 1024;
export const circuitsPerLinkMax = 64;
/** Handshakes cost some 3 ms each: by link, a bucket of this many, filled up at this rate. */
export const createsBurst = 32;
export const createsPerSecond = 8;
/** Peers that one circuit may have a hop dial in its life: retries, and the rendezvous, included. */
export const extendsPerCircuitMax = 8;
/** Loops (cover) a circuit may ask of one hop, a second. */
export const loopsPerSecondMax = 10;
/** A circuit on which nothing passes for this long is torn down. */
export const idleMsMax = 600_000;
/** How long a hop waits for the next to answer a handshake: below what a client waits for the whole circuit. */
export const extendMsMax = 15_000;

/** A hop key serves its hour and the next. */
export const hopKeyMs = 3_600_000;
/** Client keys that a hop remembers for each of its keys, so that no handshake is taken twice: 2 hours at 4 a second. */
export const handshakesRememberedMax = 32_768;
/** How long a stage keeps a session whose circuit broke. */
export const resumeMsMax = 60_000;
