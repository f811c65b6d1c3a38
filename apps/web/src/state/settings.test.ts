import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from '../limits.ts';
import { SettingsStore, defaultSettings, parseSettings } from './settings.ts';
import { memoryStorage } from './storage.ts';

describe('settings', () => {
  it('are kept and come back', () => {
    const storage = memoryStorage();
    new SettingsStore(storage).change({ theme: 'dark', temperature: 0.7, seed: 7 });
    expect(new SettingsStore(storage).view).toEqual({ ...defaultSettings, theme: 'dark', temperature: 0.7, seed: 7 });
  });

  it('lose a seed that is taken away', () => {
    const store = new SettingsStore(memoryStorage());
    store.change({ seed: 7 });
    store.change({ seed: undefined });
    expect(store.view.seed).toBeUndefined();
  });

  it('stay within their limits, whatever was stored', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.record({ temperature: fc.double(), answerTokens: fc.double() }).map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const settings = parseSettings(text);
          expect(settings.temperature).toBeGreaterThanOrEqual(0);
          expect(settings.temperature).toBeLessThanOrEqual(limits.temperatureMax);
          expect(Number.isInteger(settings.answerTokens)).toBe(true);
        },
      ),
    );
    expect(parseSettings('{"answerTokens":1e9,"theme":"pink","seed":-1}')).toEqual({
      ...defaultSettings,
      answerTokens: limits.answerTokensMax,
    });
  });
});
