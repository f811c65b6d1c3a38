/** `npm run build`: the page into build/web and the demo model into build/models, whether stale or not. */
import { errorText } from '@unfed/protocol';
import { buildPage } from './build-page.ts';
import { prepare } from './prepare.ts';

try {
  await buildPage({ force: true });
  const { webRoot, modelsDir } = await prepare();
  console.log(`page: ${webRoot}\nmodels: ${modelsDir}`);
} catch (error) {
  console.error(errorText(error));
  process.exitCode = 1;
}
