/** A command was called wrongly. */
import { UnfedError } from '@unfed/protocol';

export class UsageError extends UnfedError {
  readonly code = 'usage';
  /** The help of the command that was meant. */
  readonly help: string;

  constructor(message: string, help: string, options?: ErrorOptions) {
    super(message, options);
    this.help = help;
  }
}
