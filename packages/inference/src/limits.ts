/** Every limit of this package. Units stand last in the names. */

/** How long opening a route may take: dialling every stage, each stage dialling the next. */
export const routeOpenMsMax = 20_000;
/** A step that takes longer than this has failed: a long prompt on a slow machine stays well below. */
export const stepMsMax = 60_000;
/** Prompt steps on their way at once, so that stages work at the same time. */
export const prefillStepsInFlightMax = 4;
/** Hidden states a prompt step carries, so that one step never holds a link for long. */
export const prefillStepBytesMax = 512 * 1024;
/** Positions of a step, which a client keeps and a stage demands: no stage is deaf for long while it computes one. */
export const prefillStepPositionsMax = 128;

/** Sessions that one peer may hold open at a stage. */
export const sessionsPerLinkMax = 16;
/** Steps of one session that may wait at a stage. */
export const stepsQueuedMax = 8;
/** Hidden states of steps that wait or run at a stage, in all and by the link they came on: 8 prompts at once pass. */
export const stepBytesQueuedMax = 64 << 20;
export const stepBytesQueuedPerLinkMax = 16 << 20;
/** Sessions whose opening may be under way at a stage, in all and by one peer: one cannot shut the others out. */
export const sessionsOpeningMax = 32;
export const sessionsOpeningPerLinkMax = 4;
/** Failures of the runtime, one after another, after which a stage holds its runner for lost. */
export const runnerFailuresMax = 3;
/** Sessions that come by circuits over one link: of many clients, whom the stage cannot tell apart. */
export const circuitSessionsPerLinkMax = 64;
/** How often circuits that wait too long are looked for. */
export const circuitSweepMs = 1000;
/** How long a stage dials the next: below `routeOpenMsMax`, so that the client hears which stage failed. */
export const nextDialMsMax = 15_000;

/** Plans that cost up to this much more than the best are as good: one of them is drawn. */
export const planSlackRatio = 1.15;
/** Stages looked at in searching for a plan without two of one kin: a directory of strangers cannot take longer. */
export const planStepsMax = 100_000;
/** What a hop is taken to cost in delay while nothing is measured, ms. */
export const linkDelayMsDefault = 5;
/**
 * Steps a second that are believed of a stage: 5 ms, about what a link costs. Who claims more gains nothing by it, and
 * who claims the most is worth two honest hops at best.
 */
export const stepsPerSecondCredibleMax = 200;
