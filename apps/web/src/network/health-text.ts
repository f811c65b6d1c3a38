/** A pool's health as a sentence that names its weakest layers. */
import { spanText } from '@unfed/protocol';
import type { PoolHealth } from '../state/pool-health.ts';
import { strings } from '../strings.ts';

export function healthText(health: PoolHealth): string {
  switch (health.kind) {
    case 'unknown':
      return strings.pool.unknown;
    case 'broken':
      return strings.pool.broken(health.missing.map(spanText));
    case 'whole':
      return strings.pool.whole(health.copies, health.weakest.map(spanText), health.everywhere);
  }
}
