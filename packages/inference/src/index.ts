export { coverBytesPerSecond, startCover, type CoverOptions } from './circuit-cover.ts';
export { HopLostError } from './circuit-errors.ts';
export { createCircuitLinks, type CircuitLinks } from './circuit-links.ts';
export {
  openCircuitRoute,
  type CircuitHops,
  type CircuitRoute,
  type CircuitRouteOptions,
  type ResumableSession,
} from './circuit-route.ts';
export { createCircuitService, type CircuitService, type CircuitServiceOptions } from './circuit-service.ts';
export { openDirectRoute, type DirectRouteOptions } from './direct-route.ts';
export * from './errors.ts';
export { generate, type DecodeTiming, type GenerationEnd, type GenerationOptions } from './generation.ts';
export * as limits from './limits.ts';
export { layersOfOthers, openOwnLayers, type OwnRunners } from './own-layers.ts';
export { coverage, planRoute, uncovered, type PlanRequest } from './planner.ts';
export type { Hop, Route, RouteStep } from './route.ts';
export { chooseSpan } from './span-choice.ts';
export { createStageLinks, type StageLinks } from './stage-links.ts';
export { createStageService, type StageService, type StageServiceOptions } from './stage-service.ts';
