/** The states that the scripted peer can be put in. */
import type { DonationState } from '@unfed/client';
import { InvalidValueError } from '@unfed/protocol';

export interface Script {
  /** Why the relay does not answer; undefined: it does. */
  readonly relayFails?: string;
  /** How many volunteers serve each of eight layers. */
  readonly coverage: readonly number[];
  readonly donation: DonationState;
  /** Words per second of the answer; 0 holds it after the first words. */
  readonly wordsPerSecond: number;
  /** The answer breaks off after its first words. */
  readonly breaks: boolean;
  readonly contextLength: number;
}

const whole: Script = {
  coverage: [2, 2, 2, 1, 1, 2, 2, 3],
  donation: { kind: 'off' },
  wordsPerSecond: 500,
  breaks: false,
  contextLength: 384,
};

const span = { first: 2, last: 5 };
const serving: DonationState = {
  kind: 'serving',
  model: 'demo',
  span,
  backend: 'wasm',
  backendNote: 'WebGPU here is an emulation on the processor; wasm answered the same test 40 times faster',
  stepsPerSecond: 412.4,
  sessions: 3,
  positionsServed: 18_204,
  decodeSteps: 16_000,
  decodeMs: 38_800,
  sinceMs: Date.UTC(2026, 0, 1, 9, 30),
};

const scripts: Readonly<Record<string, Script>> = {
  whole,
  holding: { ...whole, wordsPerSecond: 0 },
  breaking: { ...whole, breaks: true },
  broken: { ...whole, coverage: [1, 1, 2, 1, 0, 0, 1, 1] },
  empty: { ...whole, coverage: [0, 0, 0, 0, 0, 0, 0, 0] },
  short: { ...whole, contextLength: 24 },
  unreachable: { ...whole, relayFails: 'Failed to fetch' },
  preparing: { ...whole, donation: { kind: 'preparing', note: 'measuring WebGPU' } },
  downloading: { ...whole, donation: { kind: 'downloading', span, bytes: 612_000, bytesTotal: 1_480_000 } },
  serving: { ...whole, donation: serving },
  failed: {
    ...whole,
    donation: { kind: 'failed', error: new InvalidValueError('memory', 'at least 300 MB for one layer', '268 MB') },
  },
};

export function scriptNamed(name: string): Script {
  return scripts[name] ?? whole;
}
