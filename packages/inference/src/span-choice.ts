/**
 * Chooses which layers a new volunteer serves: first a gap, kept to the gap's own ends so that stages fit end to end;
 * where there is none, the span that is served slowest in all.
 */
import type { Span, StageOffer } from '@unfed/protocol';
import * as limits from './limits.ts';
import { uncovered } from './planner.ts';

/**
 * @param offers what others serve of this model now
 * @param layers of the model
 * @param layersMax that fit this volunteer's memory, at least 1
 */
export function chooseSpan(
  offers: readonly Pick<StageOffer, 'span' | 'stepsPerSecond'>[],
  layers: number,
  layersMax: number,
): Span {
  const gaps = uncovered(
    offers.map((offer) => offer.span),
    { first: 0, last: layers },
  );
  if (gaps.length > 0) {
    const widest = gaps.reduce((a, b) => (b.last - b.first > a.last - a.first ? b : a));
    return { first: widest.first, last: Math.min(widest.last, widest.first + layersMax) };
  }
  const bySpan = new Map<string, { span: Span; stepsPerSecond: number }>();
  for (const { span, stepsPerSecond } of offers) {
    if (span.last - span.first > layersMax || span.last > layers) continue;
    const key = `${span.first}-${span.last}`;
    const believed = Math.min(stepsPerSecond, limits.stepsPerSecondCredibleMax);
    const sum = (bySpan.get(key)?.stepsPerSecond ?? 0) + believed;
    bySpan.set(key, { span, stepsPerSecond: sum });
  }
  const weakest = [...bySpan.values()].reduce<{ span: Span; stepsPerSecond: number } | undefined>(
    (a, b) => (a === undefined || b.stepsPerSecond < a.stepsPerSecond ? b : a),
    undefined,
  );
  // All spans that are served are too long for this machine: start a finer division from the front.
  return weakest?.span ?? { first: 0, last: Math.min(layers, layersMax) };
}
