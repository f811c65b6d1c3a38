/** What a page needs to test the engine: the suite that every backend passes, and the door to a device of one's choice. */
export * from './span-runner.suite.ts';
export { EngineProcess } from './worker-engine.ts';
