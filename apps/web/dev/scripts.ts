/** The states that the scripted peer can be put in. */
import type { DonationState, ModelWeightsView, WeightsView } from '@unfed/client';
import { embeddingShard, headShard, InvalidValueError, layerShard, manifestHash } from '@unfed/protocol';
import { pieceState, type PieceMap } from '@unfed/swarm/piece-map';

export const manifest = manifestHash('5f'.repeat(32));

export interface Script {
  /** Why the relay does not answer; undefined: it does. */
  readonly relayFails?: string;
  /** How many volunteers serve each of eight layers. */
  readonly coverage: readonly number[];
  readonly donation: DonationState;
  readonly weights: WeightsView;
  /** Words per second of the answer; 0 holds it after the first words. */
  readonly wordsPerSecond: number;
  /** The answer breaks off after its first words. */
  readonly breaks: boolean;
  readonly contextLength: number;
}

const noWeights: WeightsView = {
  models: [],
  usedBytes: 0,
  capBytes: 8 * 2 ** 30,
  kept: 'best-effort',
  uploadedBytes: 0,
  uploadBytesPerSecond: 0,
  banned: 0,
  note: '',
};

/** Eight layers of 30 chunks, of which three are wanted and so much of them is held. */
function piecesOf(heldShare: number): PieceMap {
  const ids = [embeddingShard, ...Array.from({ length: 8 }, (_, layer) => layerShard(layer)), headShard];
  return ids.map((id, place) => ({
    id,
    states: Uint8Array.from({ length: 30 }, (_, chunk) => {
      if (place < 3 || place > 5) return pieceState('other');
      const turn = ((chunk * 37 + place * 11) % 90) / 90;
      if (turn < heldShare) return pieceState('held');
      return pieceState(turn < heldShare + 0.08 ? 'coming' : turn < 0.9 ? 'offered' : 'missing');
    }),
  }));
}

const coming: ModelWeightsView = {
  manifest,
  name: 'demo',
  heldBytes: 38 * 2 ** 20,
  wantedBytes: 90 * 2 ** 20,
  storedBytes: 38 * 2 ** 20,
  bytesPerSecond: 6.2 * 2 ** 20,
  secondsLeft: 8.4,
  peers: 3,
  seed: true,
  paused: false,
  pieces: piecesOf(0.42),
};
const fetching: WeightsView = { ...noWeights, models: [coming], usedBytes: coming.storedBytes };
const held: ModelWeightsView = {
  ...coming,
  heldBytes: coming.wantedBytes,
  storedBytes: coming.wantedBytes,
  bytesPerSecond: 0,
  secondsLeft: 0,
  seed: false,
  pieces: piecesOf(1),
};
const heldWeights: WeightsView = {
  ...noWeights,
  models: [held],
  usedBytes: held.storedBytes,
  kept: 'kept',
  uploadedBytes: 512 * 2 ** 20,
  uploadBytesPerSecond: 1.4 * 2 ** 20,
};

/** What lies on the disk while nothing donates: layers served before, and the ends of a model that was asked. */
const resting: ModelWeightsView = { ...held, heldBytes: 0, wantedBytes: 0, peers: 0 };
const asked: ModelWeightsView = {
  ...resting,
  manifest: manifestHash('a7'.repeat(32)),
  name: 'Qwen2.5-0.5B-Instruct',
  storedBytes: 73 * 2 ** 20,
  pieces: [embeddingShard, ...Array.from({ length: 24 }, (_, layer) => layerShard(layer)), headShard].map((id) => {
    const isEnd = id === embeddingShard || id === headShard;
    const states = new Uint8Array(isEnd ? 36 : 9).fill(pieceState(isEnd ? 'held' : 'other'));
    return { id, states };
  }),
};

const whole: Script = {
  coverage: [2, 2, 2, 1, 1, 2, 2, 3],
  donation: { kind: 'off' },
  weights: noWeights,
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
  downloading: {
    ...whole,
    donation: { kind: 'downloading', span, bytes: coming.heldBytes, bytesTotal: coming.wantedBytes },
    weights: fetching,
  },
  resting: {
    ...whole,
    weights: { ...noWeights, models: [resting, asked], usedBytes: resting.storedBytes + asked.storedBytes },
  },
  paused: { ...whole, weights: { ...fetching, models: [{ ...coming, paused: true }], banned: 1 } },
  full: {
    ...whole,
    donation: { ...serving, span: { first: 2, last: 4 } },
    weights: {
      ...heldWeights,
      note: 'There is no room on the disk for all layers, so layers 2–3 are served instead of 2–4. Allow more, or delete a model.',
    },
  },
  serving: { ...whole, donation: serving, weights: heldWeights },
  failed: {
    ...whole,
    donation: { kind: 'failed', error: new InvalidValueError('memory', 'at least 300 MB for one layer', '268 MB') },
  },
};

export function scriptNamed(name: string): Script {
  return scripts[name] ?? whole;
}
