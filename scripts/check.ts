/** `npm run check`: format, lint, boundaries and types, all of them, in well under a minute. */
import { checkLanes } from './check-steps.ts';
import { runLanes } from './steps.ts';

const results = await runLanes(checkLanes, { keepGoing: true, signal: new AbortController().signal });
if (results.some(({ ok }) => !ok)) process.exitCode = 1;
