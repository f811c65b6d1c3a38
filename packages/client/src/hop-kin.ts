/**
 * Which peers may know what the others know: those of one operator, as they declare themselves, and those connected from
 * one network, as relays say. No two of them stand in one circuit.
 */
import type { Announcement, Listing } from '@unfed/protocol';

/**
 * @param local peers on one machine or in one room are all kin: there the rule is lifted
 * @returns labels; two peers are kin when they share one
 */
export function kinLabels(
  { operator }: Pick<Announcement, 'operator'>,
  { networkGroups }: Listing,
  local: boolean,
): readonly string[] {
  if (local) return [];
  const name = operator?.trim().toLowerCase() ?? '';
  return [...(name === '' ? [] : [`operator ${name}`]), ...networkGroups.map((group) => `network ${group}`)];
}

export function areKin(a: readonly string[], b: readonly string[]): boolean {
  return a.some((label) => b.includes(label));
}
