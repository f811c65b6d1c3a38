/** Svelte compiles TypeScript in components by itself; nothing is preprocessed. */
export default {
  compilerOptions: { runes: true },
};
