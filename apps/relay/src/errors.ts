/** Why a relay could not start. */
import { UnfedError } from '@unfed/protocol';

/** The relay was told to listen where it cannot. */
export class ListenError extends UnfedError {
  readonly code = 'listen';

  constructor(what: string, at: { host: string; port: number }, options?: ErrorOptions) {
    const cause = options?.cause instanceof Error ? options.cause.message : 'no reason given';
    super(`${what}: expected to listen on ${at.host} port ${at.port}, came ${cause}; choose another port`, options);
  }
}
