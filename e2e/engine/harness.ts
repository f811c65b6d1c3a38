/** The engine in a page: what a test may ask of it. */
import { createEngine, type Engine, type EngineOptions } from '@unfed/engine';
import { EngineProcess, spanRunnerSuite } from '@unfed/engine/page-suite';

export interface EngineHarness {
  /** @returns the backend and why it was chosen; the code of the error when none was */
  start(backend: EngineOptions['backend']): Promise<{ backend: string; note: string }>;
  caseNames(which: 'all' | 'brief'): string[];
  /** @returns ms. @throws when the case's rule is broken */
  runCase(name: string): Promise<number>;
  stop(): Promise<void>;
  /** Starts WebGPU on a device with subgroups. @returns `passed`, or the code of the error */
  startWithSubgroups(): Promise<string>;
}

let engine: Engine | null = null;

const harness: EngineHarness = {
  async start(backend) {
    try {
      engine = await createEngine({ backend });
      return { backend: engine.backend, note: engine.note };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      return { backend: code, note: error instanceof Error ? error.message : String(error) };
    }
  },
  caseNames: (which) => spanRunnerSuite.filter(({ brief }) => which === 'all' || brief).map(({ name }) => name),
  async runCase(name) {
    const found = spanRunnerSuite.find((candidate) => candidate.name === name);
    if (found === undefined || engine === null) throw new Error(`expected a case and an engine, came ${name}`);
    const startMs = performance.now();
    await found.run(engine);
    return performance.now() - startMs;
  },
  async stop() {
    await engine?.dispose();
    engine = null;
  },
  async startWithSubgroups() {
    try {
      const process = await EngineProcess.start({ backend: 'webgpu', subgroups: true, compare: false });
      process.end(new Error('the test is over'));
      return 'passed';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  },
};

Object.assign(window, { harness });
