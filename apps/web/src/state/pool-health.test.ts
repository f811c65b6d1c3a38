import type { PoolView } from '@unfed/client';
import { manifestHash } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { healthText } from '../network/health-text.ts';
import { poolHealth } from './pool-health.ts';

const pool = (...coverage: number[]): PoolView => ({
  manifest: manifestHash('00'.repeat(32)),
  name: 'demo',
  layers: coverage.length,
  coverage,
  stages: [],
});

describe('poolHealth', () => {
  it('names the layers that nobody serves', () => {
    expect(healthText(poolHealth(pool(1, 1, 0, 0, 2, 0)))).toBe('Nobody serves layers 2–3, 5');
    expect(healthText(poolHealth(pool(1, 0, 1)))).toBe('Nobody serves layer 1');
  });

  it('names the weakest layers of a whole pool', () => {
    expect(healthText(poolHealth(pool(3, 1, 1, 2)))).toBe('Weakest: layers 1–2, served once');
    expect(healthText(poolHealth(pool(3, 2, 3)))).toBe('Weakest: layer 1, served 2 times');
    expect(healthText(poolHealth(pool(2, 2)))).toBe('Every layer is served 2 times');
  });

  it('says so where the layers are not known', () => {
    expect(poolHealth(pool())).toEqual({ kind: 'unknown' });
  });
});
