/** What must be made before anything runs: the page, and the demo model's shards. */
import { join } from 'node:path';
import { ensureDemoModel } from '@unfed/model/node';
import { buildPage, webRoot } from './build-page.ts';
import { repository } from './child.ts';

export const modelsDir = join(repository, 'build/models');

export interface Prepared {
  readonly webRoot: string;
  readonly modelsDir: string;
}

/** Makes what is missing or older than its sources; quick when all is there. */
export async function prepare({ page = true } = {}): Promise<Prepared> {
  await Promise.all([ensureDemoModel(modelsDir), page ? buildPage() : undefined]);
  return { webRoot, modelsDir };
}
