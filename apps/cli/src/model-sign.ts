/** `unfed model sign`: a publisher's signature beside a manifest. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openModelFolder } from '@unfed/model/node';
import { errorText, manifestSignatureFileName, signManifest } from '@unfed/protocol';
import { publisherFrom } from './publisher-key.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage.ts';

export const signModelHelp = `Usage: unfed model sign FOLDER --key FILE [options]

Writes manifest.sig into FOLDER, which \`unfed model add\` made. Where a pool names this publisher (\`--publisher\` of its
relay), peers take the manifest with this signature only. The model keeps its name and its bytes.

Options:
  --key FILE             the publisher's key, made when there is none; keep it, and keep it secret
  --json                 print one line of JSON instead of text
  --help                 this text
`;

const options = {
  key: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @throws UsageError, InvalidValueError for the key, and whatever `openModelFolder` throws */
export async function signModelCommand(args: readonly string[], terminal: Terminal): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help) return terminal.out(signModelHelp);
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) {
    throw new UsageError(`expected one FOLDER, came ${positionals.length}`, signModelHelp);
  }
  if (values.key === undefined) throw new UsageError('expected --key FILE, came none', signModelHelp);
  const { hash, manifest } = await openModelFolder(folder);
  const { publisher, isNew } = await publisherFrom(values.key);
  const path = join(folder, manifestSignatureFileName);
  // A relay may be reading it: it is there whole, or not at all.
  await writeFile(`${path}.partial`, signManifest(hash, publisher), { flush: true });
  await rename(`${path}.partial`, path);
  if (isNew && !values.json) terminal.err(`unfed: made a new key in ${values.key}\n`);
  if (values.json) terminal.out(`${JSON.stringify({ manifest: hash, publisher: publisher.peer, file: path })}\n`);
  else terminal.out(`${manifest.name}: signed by ${publisher.peer}\n${path}\n`);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (cause) {
    throw new UsageError(errorText(cause), signModelHelp, { cause });
  }
}
