/** What measuring needs of a runner and it does not tell itself: its width. */
import type { SpanRunner } from './engine.ts';
import { EngineDisposedError } from './errors.ts';
import * as limits from './limits.ts';
import { measureStepMs } from './measure.ts';

export class RunnerWidths {
  readonly #widths = new WeakMap<SpanRunner, number>();

  set(runner: SpanRunner, width: number): void {
    this.#widths.set(runner, width);
  }

  /** @returns decode steps a second; 0 when the runner has no room. @throws EngineDisposedError for another engine's runner */
  async measure(runner: SpanRunner, signal?: AbortSignal): Promise<number> {
    const width = this.#widths.get(runner);
    if (width === undefined) throw new EngineDisposedError();
    const options = { width, steps: limits.measureSteps, msMax: limits.measureMsMax, signal };
    return 1000 / (await measureStepMs(runner, options));
  }
}
