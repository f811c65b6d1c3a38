/** Every limit of this package. Units stand last in the names. */

/** A span's graph without its weights: mostly the rotary tables. Beyond this a peer would be made to build giants. */
export const graphBytesMax = 64 << 20;
/** Rotary tables are made for this many positions unless the caller says otherwise. */
export const positionsDefaultMax = 4096;
/** The JSON header of a safetensors file; its reference implementation has the same limit. */
export const safetensorsHeaderBytesMax = 100_000_000;
export const safetensorsTensorsMax = 100_000;
export const safetensorsFilesMax = 4096;
export const safetensorsIndexBytesMax = 64 << 20;
/** Rows of one tensor are read and rounded in blocks of about this size, so that memory stays bounded. */
export const rowBlockBytesMax = 8 << 20;
/** Tokens that a stream decoder holds back while they end in half a character. A character has 4 bytes at most. */
export const heldTokensMax = 16;
/** Tokens that top-p sorts at first; the whole vocabulary only where these do not reach its share. */
export const samplerCandidates = 256;

/** A chat template's source; the longest of known models are a third of this. */
export const templateSourceCharsMax = 128 << 10;
/** Operations of one rendering, seconds of them at most; so many characters of a text count as one. */
export const templateWorkMax = 400_000;
export const templateCharsPerWork = 256;
/** A text that a template makes; one of a million tokens is about this long. */
export const templateTextCharsMax = 4 << 20;
/** Items of a list, and numbers, which become indents and the like. */
export const templateItemsMax = 65_536;
/** Of what a template itself says about its messages. */
export const templateErrorCharsMax = 120;
