/** What can go wrong in putting a peer together. */
import { UnfedError } from '@unfed/protocol';

/** No directory can be read, because the relay does not answer. */
export class RelayUnreachableError extends UnfedError {
  readonly code = 'relay-unreachable';

  constructor(waitedMs: number, detail: string) {
    super(`the relay did not answer within ${waitedMs / 1000} s (${detail}); this page keeps trying`);
  }
}

/** The memory that the volunteer allows does not hold one layer. */
export class MemoryTooSmallError extends UnfedError {
  readonly code = 'memory-too-small';
  readonly neededBytes: number;
  readonly allowedBytes: number;

  constructor(neededBytes: number, allowedBytes: number) {
    super(
      `one layer of this model with its caches needs ${Math.ceil(neededBytes / 2 ** 20)} MiB and ` +
        `${Math.floor(allowedBytes / 2 ** 20)} MiB are allowed; allow more, or serve a smaller model`,
    );
    this.neededBytes = neededBytes;
    this.allowedBytes = allowedBytes;
  }
}

/** What was being fetched to be served was deleted meanwhile. */
export class WeightsDeletedError extends UnfedError {
  readonly code = 'weights-deleted';

  constructor(model: string) {
    super(`the pieces of ${model} were deleted while they were fetched; start again to fetch them anew`);
  }
}

/** A manifest asks for more at the user's own machine than any that is meant for one. */
export class EndsTooLargeError extends UnfedError {
  readonly code = 'ends-too-large';
  readonly bytes: number;
  readonly bytesMax: number;

  constructor(model: string, bytes: number, bytesMax: number) {
    super(
      `the ends of ${model} have ${Math.ceil(bytes / 2 ** 20)} MiB and at most ${Math.floor(bytesMax / 2 ** 20)} MiB are ` +
        'fetched; choose a smaller model',
    );
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** Anything that is not one of ours, so that pages always show a sentence. */
export class UnexpectedError extends UnfedError {
  readonly code = 'unexpected';

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

export function asUnfedError(error: unknown): UnfedError {
  return error instanceof UnfedError ? error : new UnexpectedError(error);
}
