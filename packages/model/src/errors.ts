/** What this package refuses, each with what was expected and what came. */
import { UnfedError, type ShardId } from '@unfed/protocol';

/** A config.json describes a model that this package cannot run. */
export class UnsupportedArchitectureError extends UnfedError {
  readonly code = 'unsupported-architecture';
  readonly field: string;
  readonly supported: string;
  readonly came: string;

  constructor(field: string, supported: string, came: string, options?: ErrorOptions) {
    super(`config.json (${field}): supported is ${supported}, came ${came}; choose another model`, options);
    this.field = field;
    this.supported = supported;
    this.came = came;
  }
}

/** A span's graph would be larger than its limit. */
export class GraphTooLargeError extends UnfedError {
  readonly code = 'graph-too-large';
  readonly bytes: number;
  readonly bytesMax: number;

  constructor(bytes: number, bytesMax: number) {
    super(`graph: expected at most ${bytesMax} bytes, came ${bytes}; ask for fewer layers or positions`);
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** A manifest gives a shard another size than its own architecture does. */
export class ManifestSizeError extends UnfedError {
  readonly code = 'manifest-size';
  readonly shard: ShardId;
  readonly expectedBytes: number;
  readonly cameBytes: number;

  constructor(shard: ShardId, expectedBytes: number, cameBytes: number) {
    super(
      `manifest: expected ${expectedBytes} bytes for shard ${shard} by its architecture, came ${cameBytes}; do not use this manifest`,
    );
    this.shard = shard;
    this.expectedBytes = expectedBytes;
    this.cameBytes = cameBytes;
  }
}

/** A Hugging Face folder, or a folder of shards, lacks something or holds something else than it says. */
export class ModelFolderError extends UnfedError {
  readonly code = 'model-folder';
  readonly file: string;
  readonly expected: string;
  readonly came: string;

  constructor(file: string, expected: string, came: string, options?: ErrorOptions) {
    super(`${file}: expected ${expected}, came ${came}; fetch or make the folder again`, options);
    this.file = file;
    this.expected = expected;
    this.came = came;
  }
}

/** A model has no chat template, or one that fails on these messages. */
export class ChatTemplateError extends UnfedError {
  readonly code = 'chat-template';

  constructor(detail: string, options?: ErrorOptions) {
    super(`chat template: expected one that renders the messages, came ${detail}; choose another model`, options);
  }
}
