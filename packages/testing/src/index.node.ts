/** Fixtures that need files. */
export * from './random-checkpoint.node.ts';
export * from './random-model.node.ts';
