/** Was this file started, or imported by another? */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export function isMain(meta: ImportMeta): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(meta.url);
}
