/** What needs files: adding models and opening finished folders. Everything else is in `@unfed/model`. */
export * from './add-model.node.ts';
export * from './checkpoint.node.ts';
export * from './demo-model.node.ts';
export * from './model-folder.node.ts';
export * from './shard-writer.node.ts';
