export * from './errors.ts';
export * from './http-seed.ts';
export * as swarmLimits from './limits.ts';
export * from './shard-source.ts';
