/**
 * Who gives way when a stage's memory is taken and another asks: whoever holds more than half of it. The engine ends
 * sessions that nobody uses; a peer that uses many a little would keep the whole stage from everybody else.
 */
import type { Link } from '@unfed/protocol';

export interface CacheHolder {
  readonly opener: Link;
  /** Reserved for the session. */
  readonly positionsMax: number;
  readonly lastUsedMs: number;
}

/**
 * One session is anybody's, however long: only an opener of several can hold more than its share.
 * @returns of the opener that holds over half of all that is reserved, and is not the asker, the session that it used
 * longest ago; undefined where nobody does
 */
export function sessionToEnd<S extends CacheHolder>(held: Iterable<S>, asker: Link): S | undefined {
  const byOpener = new Map<Link, S[]>();
  for (const session of held) {
    const list = byOpener.get(session.opener);
    if (list === undefined) byOpener.set(session.opener, [session]);
    else list.push(session);
  }
  const all = positionsOf([...byOpener.values()].flat());
  for (const [opener, sessions] of byOpener) {
    if (opener === asker || sessions.length < 2 || positionsOf(sessions) <= all / 2) continue;
    return sessions.reduce((a, b) => (b.lastUsedMs < a.lastUsedMs ? b : a));
  }
  return undefined;
}

function positionsOf(sessions: readonly CacheHolder[]): number {
  return sessions.reduce((sum, { positionsMax }) => sum + positionsMax, 0);
}
