/**
 * The base of every error that Unfed throws, and those that more than one package throws.
 * A message says what was expected, what came, and what to do. What crosses a link is `{code, message}` only.
 */
export abstract class UnfedError extends Error {
  /** A literal, stable name for programs; kebab-case. */
  abstract readonly code: string;

  override get name(): string {
    return this.constructor.name;
  }
}

/** A value given by a caller or read from a file is outside what is allowed. */
export class InvalidValueError extends UnfedError {
  readonly code = 'invalid-value';
  readonly what: string;
  readonly expected: string;
  readonly came: string;

  constructor(what: string, expected: string, came: string, options?: ErrorOptions) {
    super(`${what}: expected ${expected}, came ${came}`, options);
    this.what = what;
    this.expected = expected;
    this.came = came;
  }
}

/** Bytes from another peer, or from a file, do not decode within their limits. */
export class DecodeError extends UnfedError {
  readonly code = 'decode';
  readonly what: string;
  readonly expected: string;
  readonly came: string;

  constructor(what: string, expected: string, came: string, options?: ErrorOptions) {
    super(`${what} cannot be decoded: expected ${expected}, came ${came}`, options);
    this.what = what;
    this.expected = expected;
    this.came = came;
  }
}

/** A signature does not belong to the bytes and the peer that it stands with. */
export class SignatureError extends UnfedError {
  readonly code = 'signature';

  constructor(what: string, peer: string) {
    super(`the signature of ${what} is not by ${peer}; drop it`);
  }
}

/** Bytes do not have the hash that the manifest gives. */
export class HashMismatchError extends UnfedError {
  readonly code = 'hash-mismatch';
  readonly what: string;
  readonly expectedHash: string;
  readonly cameHash: string;

  constructor(what: string, expectedHash: string, cameHash: string) {
    super(`${what}: expected SHA-256 ${expectedHash}, came ${cameHash}; fetch it again from another source`);
    this.what = what;
    this.expectedHash = expectedHash;
    this.cameHash = cameHash;
  }
}

/** What crosses a link when something failed: never a stack, never typed fields. */
export interface WireError {
  readonly code: string;
  readonly message: string;
}

/** The other end of a link reported an error. */
export class RemoteError extends UnfedError {
  readonly code = 'remote';
  readonly remoteCode: string;

  constructor(error: WireError) {
    super(error.message);
    this.remoteCode = error.code;
  }
}

/** @returns the code and message of a known error; of any other only that it is internal, so that nothing leaks. */
export function toWireError(error: unknown): WireError {
  if (error instanceof UnfedError) return { code: error.code, message: error.message.slice(0, 400) };
  return { code: 'internal', message: 'an internal error; see the log of the peer that failed' };
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What was thrown, as an Error: foreign code may throw anything. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
