export * from './arbitraries.ts';
export * from './clock.ts';
export * from './memory-directory.ts';
export { FrameChangedError } from './memory-link.ts';
export * from './memory-network.ts';
export type { PathOptions } from './memory-wire.ts';
export * from './random.ts';
