/**
 * What `npm run bench -- leak` measured on the demo model, for the sentences of the privacy page. Ranges reach from ordinary
 * sentences to ones that the model was never taught; times are of one core.
 */
export const leakFigures = {
  layers: 8,
  /** Candidates tried in turn, behind any number of layers. */
  search: { percent: 100, msPerWord: [4, 250] },
  /** A linear map learnt from other text. Shares of words in percent. */
  probe: { seconds: 16, behindFirst: [96, 97], inTheMiddle: [90, 95], behindLast: [37, 42] },
} as const;
