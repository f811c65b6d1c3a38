/** What a person has chosen, kept in this browser. Whatever storage holds is read as if a stranger had written it. */
import * as limits from '../limits.ts';
import { ObservableValue } from './observable.ts';
import { writeStored, type TextStorage } from './storage.ts';

export type Theme = 'system' | 'light' | 'dark';

export interface Settings {
  readonly theme: Theme;
  readonly answerTokens: number;
  /** 0 always takes the likeliest token. */
  readonly temperature: number;
  /** Undefined: another one for every answer. */
  readonly seed: number | undefined;
  /** Weights and caches together, while donating. */
  readonly donationMemoryMiB: number;
  /** Chunks of models kept in this browser. */
  readonly storeMiB: number;
  /** Passed on to other volunteers. Undefined: as much as the line takes. */
  readonly uploadKiBPerSecond: number | undefined;
}

export const defaultSettings: Settings = {
  theme: 'system',
  answerTokens: 256,
  temperature: 0,
  seed: undefined,
  donationMemoryMiB: 1024,
  storeMiB: 8192,
  uploadKiBPerSecond: undefined,
};

const storageKey = 'unfed.settings.1';

function within(value: unknown, [min, max]: readonly [number, number], otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : otherwise;
}

/** @param text JSON of earlier settings, or anything; every field that does not fit takes its default */
export function parseSettings(text: string | null): Settings {
  let stored: Partial<Record<keyof Settings, unknown>> = {};
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    if (typeof value === 'object' && value !== null) stored = value;
  } catch {
    return defaultSettings;
  }
  const { theme, seed } = stored;
  const tokens = within(stored.answerTokens, [limits.answerTokensMin, limits.answerTokensMax], NaN);
  const memory = within(stored.donationMemoryMiB, [limits.donationMemoryMinMiB, limits.donationMemoryMaxMiB], NaN);
  const upload = within(stored.uploadKiBPerSecond, [limits.uploadMinKiBPerSecond, limits.uploadMaxKiBPerSecond], NaN);
  return {
    theme: theme === 'light' || theme === 'dark' ? theme : 'system',
    answerTokens: Number.isNaN(tokens) ? defaultSettings.answerTokens : Math.round(tokens),
    temperature: within(stored.temperature, [0, limits.temperatureMax], defaultSettings.temperature),
    seed: typeof seed === 'number' && Number.isInteger(seed) && seed >= 0 && seed <= limits.seedMax ? seed : undefined,
    donationMemoryMiB: Number.isNaN(memory) ? defaultSettings.donationMemoryMiB : Math.round(memory),
    storeMiB: Math.round(within(stored.storeMiB, [limits.storeMinMiB, limits.storeMaxMiB], defaultSettings.storeMiB)),
    uploadKiBPerSecond: Number.isNaN(upload) ? undefined : Math.round(upload),
  };
}

/** The settings of this page; every change is stored at once. */
export class SettingsStore extends ObservableValue<Settings> {
  readonly #storage: TextStorage;

  constructor(storage: TextStorage) {
    super(parseSettings(storage.getItem(storageKey)));
    this.#storage = storage;
  }

  change(part: Partial<Settings>): void {
    this.set(parseSettings(JSON.stringify({ ...this.view, ...part })));
    writeStored(this.#storage, storageKey, JSON.stringify(this.view));
  }
}
