/** Why a source could not give what it was asked for. Wrong bytes are HashMismatchError and DecodeError of the protocol. */
import { UnfedError, type ManifestHash, type PeerId } from '@unfed/protocol';

export type SourceFailure =
  /** No connection, or it broke. */
  | 'unreachable'
  /** It has no such file. */
  | 'not-found'
  /** An answer with another status than asked for. */
  | 'status'
  /** An HTML page where bytes were expected: a login, a captive portal, a single-page application's fallback. */
  | 'html'
  /** Bytes from another place of the file than asked for. */
  | 'wrong-range'
  | 'too-short'
  | 'too-long'
  /** No byte within the time limit. */
  | 'stalled'
  /** A file of the folder could not be read. */
  | 'unreadable';

export class SourceError extends UnfedError {
  readonly code: `source-${SourceFailure}`;
  readonly failure: SourceFailure;
  /** `<manifest hash>/<file>`. */
  readonly path: string;
  /** Whether the same request may succeed later. */
  readonly transient: boolean;

  constructor(
    { failure, path, transient }: { failure: SourceFailure; path: string; transient: boolean },
    detail: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${detail}`, options);
    this.code = `source-${failure}`;
    this.failure = failure;
    this.path = path;
    this.transient = transient;
  }
}

/** The pool names its publisher, and no signature lies beside the manifest. One by somebody else is a SignatureError. */
export class UnsignedManifestError extends UnfedError {
  readonly code = 'manifest-unsigned';
  readonly manifest: ManifestHash;
  readonly publisher: PeerId;

  constructor(manifest: ManifestHash, publisher: PeerId, options?: ErrorOptions) {
    super(`manifest ${manifest}: expected a signature by ${publisher}, came none; ask its publisher for one`, options);
    this.manifest = manifest;
    this.publisher = publisher;
  }
}

/** The device has no memory for a shard. */
export class OutOfMemoryError extends UnfedError {
  readonly code = 'out-of-memory';
  readonly bytes: number;

  constructor(what: string, bytes: number, options?: ErrorOptions) {
    super(`${what}: expected ${bytes} bytes of memory, came none; choose fewer layers or a smaller model`, options);
    this.bytes = bytes;
  }
}

/** No peer has it, and no seed is there to ask. */
export function noSource(path: string): SourceError {
  const detail = 'no peer here has it, and there is no seed; wait until one comes, or name a seed';
  return new SourceError({ failure: 'not-found', path, transient: true }, detail);
}
