export * from './folder-source.node.ts';
export * from './index.ts';
