export * from './folder-source.node.ts';
export * from './index.ts';
export * from './store-files.node.ts';
