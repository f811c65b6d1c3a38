/**
 * Cells: the frames of a link of `/unfed/circuit/1`, all of one size. Type u8, circuit id u32 (big-endian), body. The type
 * says which way a cell goes, seen from who created the circuit on this link, so that both ends may create with any id.
 */
import { DecodeError } from '@unfed/protocol';
import { concat, padTo, unpad, type RandomBytes } from './bytes.ts';
import { CircuitError, reasonNumber, reasonOf, type CircuitReason } from './errors.ts';
import * as limits from './limits.ts';

export const circuitProtocol = '/unfed/circuit/1';

/** From who created the circuit on this link. */
const outward = ['create', 'forward', 'hand', 'join', 'result', 'destroy'] as const;
/** To who created it. */
const homeward = ['created', 'backward', 'joined', 'destroyed'] as const;

export type OutwardType = (typeof outward)[number];
export type HomewardType = (typeof homeward)[number];
export type CellType = OutwardType | HomewardType;
export const cellTypes: readonly CellType[] = [...outward, ...homeward];

const numbers = new Map<CellType, number>([
  ...outward.map((type, i) => [type, 1 + i] as const),
  ...homeward.map((type, i) => [type, 65 + i] as const),
]);
const types = new Map([...numbers].map(([type, number]) => [number, type]));

export interface Cell {
  readonly type: CellType;
  /** Of this link alone: random, drawn by who created the circuit on it. */
  readonly circuit: number;
  /** `bodyBytes` long. */
  readonly body: Uint8Array;
}

export function isOutward(type: CellType): type is OutwardType {
  return (outward as readonly string[]).includes(type);
}

/** @param body `bodyBytes` long */
export function encodeCell({ type, circuit, body }: Cell): Uint8Array<ArrayBuffer> {
  if (body.length !== limits.bodyBytes) throw new CircuitError('internal', `a body of ${body.length} bytes`);
  const frame = new Uint8Array(limits.cellBytes);
  const view = new DataView(frame.buffer);
  frame[0] = numbers.get(type) ?? 0;
  view.setUint32(1, circuit);
  frame.set(body, limits.cellHeaderBytes);
  return frame;
}

/** @throws DecodeError for another size or an unknown type: no peer that keeps to SPEC.md sends one */
export function decodeCell(frame: Uint8Array): Cell {
  if (frame.length !== limits.cellBytes) {
    throw new DecodeError('cell', `${limits.cellBytes} bytes`, `${frame.length} bytes`);
  }
  const type = types.get(frame[0]);
  if (type === undefined) throw new DecodeError('cell', 'a known type', `type ${frame[0]}`);
  const circuit = new DataView(frame.buffer, frame.byteOffset, frame.length).getUint32(1);
  return { type, circuit, body: frame.subarray(limits.cellHeaderBytes) };
}

/** A body that is not layered: a handshake, or its answer, for the other end of the link. */
export function handshakeBody(handshake: Uint8Array, random: RandomBytes): Uint8Array {
  return randomlyFilled(padTo(2 + handshake.length, handshake), random);
}

/** @throws CircuitError protocol */
export function readHandshakeBody(body: Uint8Array): Uint8Array {
  return unpad(body);
}

/** The cookie that names a rendezvous, for its forwarder. */
export function cookieBody(cookie: Uint8Array, random: RandomBytes): Uint8Array {
  return randomlyFilled(cookie, random);
}

export function readCookieBody(body: Uint8Array): Uint8Array {
  return body.slice(0, cookieBytes);
}

export const cookieBytes = 16;

/** Why a circuit ends on this link. */
export function destroyBody(reason: CircuitReason, random: RandomBytes): Uint8Array {
  return randomlyFilled(Uint8Array.of(reasonNumber(reason)), random);
}

export function readDestroyBody(body: Uint8Array): CircuitReason {
  return reasonOf(body[0]);
}

function randomlyFilled(head: Uint8Array, random: RandomBytes): Uint8Array {
  return concat(head, random(limits.bodyBytes - head.length));
}
