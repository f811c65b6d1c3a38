/**
 * Layers around a cell, one a hop, at a size that never changes (after Sphinx: Danezis and Goldberg, 2009).
 *
 * Forward, a hop removes the tag and the command, 17 bytes, and appends 17 bytes of a keystream that the client knows. The
 * client chooses the end of each plaintext so that the ciphertext ends in what the hops before will have appended; so each
 * tag covers all of what arrives. Backward, a plaintext that a hop makes ends in zeros; a hop that passes a body on
 * drops its last 17 bytes, puts a command before the rest, and seals. The client computes what was dropped.
 */
import { equalBytes, type RandomBytes } from './bytes.ts';
import type { CircuitKeys } from './circuit-keys.ts';
import { CircuitError } from './errors.ts';
import * as limits from './limits.ts';
import { LayerKey } from './seal.ts';

const { bodyBytes, layerBytes, plaintextBytes, tagBytes } = limits;

/** First byte of a plaintext: the rest is the head of the next hop's body. */
export const relayCommand = 0;
/** The same, backward, of a body that came by the rendezvous. */
export const joinedCommand = 1;

/** One hop's end of its layers. */
export class HopLayers {
  readonly #forward: LayerKey;
  readonly #backward: LayerKey;
  readonly #filler: LayerKey;

  constructor(keys: Pick<CircuitKeys, 'forward' | 'backward' | 'filler'>) {
    this.#forward = new LayerKey(keys.forward);
    this.#backward = new LayerKey(keys.backward);
    this.#filler = new LayerKey(keys.filler);
  }

  /**
   * @param body from the hop before
   * @returns the plaintext for this hop, or the body for the next
   * @throws CircuitError bad-cell
   */
  peel(body: Uint8Array): { readonly plaintext: Uint8Array } | { readonly next: Uint8Array<ArrayBuffer> } {
    const plaintext = this.#forward.open(body);
    const filler = this.#filler.fill(layerBytes);
    if (plaintext[0] !== relayCommand) return { plaintext };
    const next = new Uint8Array(bodyBytes);
    next.set(plaintext.subarray(1));
    next.set(filler, bodyBytes - layerBytes);
    return { next };
  }

  /** @param content of this hop, at most `dataCellBytes` or `controlBytesMax` with its command; what follows is zero */
  originate(content: Uint8Array): Uint8Array<ArrayBuffer> {
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext.set(content);
    return this.#backward.seal(plaintext);
  }

  /** @param body from the next hop, or from who joined the rendezvous */
  passBack(body: Uint8Array, command: typeof relayCommand | typeof joinedCommand): Uint8Array<ArrayBuffer> {
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext[0] = command;
    plaintext.set(body.subarray(0, bodyBytes - layerBytes), 1);
    return this.#backward.seal(plaintext);
  }
}

interface ClientHop {
  readonly forward: LayerKey;
  readonly backward: LayerKey;
  readonly filler: LayerKey;
}

/** Where a backward cell was made: the hop's number from 0, or behind the rendezvous. */
export type Origin = number | 'rendezvous';

/** The client's end of all layers. */
export class ClientLayers {
  readonly #random: RandomBytes;
  readonly #hops: ClientHop[] = [];
  /** Behind which hop results come in, and their key. */
  #rendezvous: { readonly hop: number; readonly key: LayerKey } | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  get length(): number {
    return this.#hops.length;
  }

  add(keys: CircuitKeys): void {
    this.#hops.push({
      forward: new LayerKey(keys.forward),
      backward: new LayerKey(keys.backward),
      filler: new LayerKey(keys.filler),
    });
  }

  /** Forgets the hops behind the first `length`. */
  cut(length: number): void {
    this.#hops.length = Math.min(this.#hops.length, length);
    if (this.#rendezvous !== undefined && this.#rendezvous.hop >= length) this.#rendezvous = undefined;
  }

  /** @param hop the last forwarding hop. @param resultKey the last stage's */
  expectResults(hop: number, resultKey: Uint8Array): void {
    this.#rendezvous = { hop, key: new LayerKey(resultKey) };
  }

  /**
   * @param target the hop that is to read `content`
   * @param content its command first. What follows in the cell is random, so that nothing says where the fillers begin
   * @returns the body for the first hop
   */
  wrap(target: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
    const padBytes = plaintextBytes - target * layerBytes - content.length;
    if (target >= this.#hops.length || padBytes < 0) {
      throw new CircuitError(
        'protocol',
        `${content.length} bytes for hop ${target} of ${this.#hops.length} do not fit`,
      );
    }
    const onTheWay = this.#hops.slice(0, target + 1);
    const tail = endings(onTheWay)[target];
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext.set(content);
    plaintext.set(this.#random(padBytes), content.length);
    plaintext.set(tail, plaintextBytes - tail.length);
    let body = onTheWay[target].forward.seal(plaintext);
    for (const { forward } of onTheWay.slice(0, target).reverse()) {
      const outer = new Uint8Array(plaintextBytes);
      outer[0] = relayCommand;
      outer.set(body.subarray(0, bodyBytes - layerBytes), 1);
      body = forward.seal(outer);
    }
    return body;
  }

  /**
   * @param body from the first hop
   * @returns the plaintext that a hop made, and which
   * @throws CircuitError bad-cell: some hop, or a link between two, changed something
   */
  unwrap(body: Uint8Array): { readonly origin: Origin; readonly plaintext: Uint8Array } {
    const layers = this.#peek(body);
    const { key, head, origin } = layers[layers.length - 1];
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext.set(key.cryptFrom(0, head.subarray(tagBytes)));
    // From the inside out, each whole plaintext gives its whole body, and that the plaintext around it.
    let around = plaintext;
    const counted: (() => void)[] = [];
    for (const layer of layers.reverse()) {
      if (layer.key !== key) {
        const outer = new Uint8Array(plaintextBytes);
        outer[0] = layer.command;
        outer.set(around.subarray(0, bodyBytes - layerBytes), 1);
        around = outer;
      }
      const sealed = layer.key.preview(around);
      if (!equalBytes(sealed.body.subarray(0, layer.head.length), layer.head)) throw new CircuitError('bad-cell');
      counted.push(sealed.done);
      around = sealed.body;
    }
    for (const done of counted) done();
    return { origin, plaintext };
  }

  /** Follows the commands, unchecked as yet, to where the cell was made. Of each body only the head is known. */
  #peek(body: Uint8Array): Layer[] {
    const layers: Layer[] = [];
    let key: LayerKey | undefined = this.#hops[0]?.backward;
    let origin: Origin = 0;
    let head = body;
    for (;;) {
      if (key === undefined || head.length !== bodyBytes - layerBytes * layers.length)
        throw new CircuitError('bad-cell');
      const plaintext = key.cryptFrom(0, head.subarray(tagBytes));
      const [command] = plaintext;
      layers.push({ key, head, command, origin });
      if (origin === 'rendezvous' || (command !== relayCommand && command !== joinedCommand)) return layers;
      if (command === relayCommand) {
        origin += 1;
        key = this.#hops[origin]?.backward;
      } else {
        key = origin === this.#rendezvous?.hop ? this.#rendezvous.key : undefined;
        origin = 'rendezvous';
      }
      head = plaintext.subarray(1);
    }
  }
}

interface Layer {
  readonly key: LayerKey;
  readonly head: Uint8Array;
  readonly command: number;
  readonly origin: Origin;
}

/** How the plaintext of each hop must end, so that its ciphertext ends in what the hops before append. Counts fillers on. */
function endings(hops: readonly ClientHop[]): Uint8Array[] {
  let appended = new Uint8Array(0);
  return hops.map(({ forward, filler }) => {
    const tail = forward.cryptFrom(plaintextBytes - appended.length, appended);
    const next = new Uint8Array(tail.length + layerBytes);
    next.set(tail);
    next.set(filler.fill(layerBytes), tail.length);
    appended = next;
    return tail;
  });
}
