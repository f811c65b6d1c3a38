export { secureRandom, type RandomBytes } from './bytes.ts';
export * from './errors.ts';
export * from './hop-keys.ts';
export * as limits from './limits.ts';
export * from './ntor.ts';
