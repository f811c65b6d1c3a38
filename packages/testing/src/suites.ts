/** Acceptance suites. Apart from the rest of the package because they need vitest around them. */
export * from './link-suite.ts';
