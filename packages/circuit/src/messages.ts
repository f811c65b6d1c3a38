/**
 * What client and hop say to each other: the part that a hop is asked to play, sealed in its handshake, and the commands in
 * control cells. Canonical CBOR within fixed sizes; whatever comes is checked before anything uses it.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  decodeCbor,
  encodeCbor,
  fixedBytes,
  hexToBytes,
  integer,
  limits as protocolLimits,
  manifestHashSchema,
  peerIdSchema,
  text,
  type SessionId,
  type WireError,
} from '@unfed/protocol';
import * as v from 'valibot';
import { concat, padTo, unpad } from './bytes.ts';
import { cookieBytes } from './cell.ts';
import { CircuitError, circuitReasons } from './errors.ts';
import * as limits from './limits.ts';

const key = fixedBytes(32);

const stageSchema = v.strictObject({
  role: v.literal('stage'),
  manifest: manifestHashSchema,
  first: integer(0, protocolLimits.layersMax),
  last: integer(1, protocolLimits.layersMax),
  /** The KV cache to reserve. */
  positionsMax: integer(1, protocolLimits.contextLengthMax),
  /** Shared with the stage before, which hands over hidden states under it; null for the first stage: the client does. */
  previous: v.nullable(key),
  /** Shared with the stage after; or where the last stage hands results over. */
  next: v.union([v.strictObject({ key }), v.strictObject({ peer: peerIdSchema, cookie: fixedBytes(cookieBytes) })]),
  /** A session that the client had here before, and the proof that it is the same client. */
  resume: v.nullable(v.strictObject({ session: fixedBytes(16), proof: key })),
});
const roleSchema = v.variant('role', [v.strictObject({ role: v.literal('forward') }), stageSchema]);

/** The part of a hop. */
export type Role = v.InferOutput<typeof roleSchema>;
export type StageRole = v.InferOutput<typeof stageSchema>;

const failureEntries = { code: text(limits.failureCodeCharsMax), message: text(limits.failureMessageCharsMax) };
const answerSchema = v.union([
  /** `held`: positions in the cache of a resumed session; 0 for a new one. */
  v.strictObject({ held: integer(0, protocolLimits.contextLengthMax) }),
  v.strictObject(failureEntries),
]);

/** What a hop says to its part. */
export type RoleAnswer = v.InferOutput<typeof answerSchema>;

function sealedMessage(value: unknown): Uint8Array {
  return padTo(limits.sealedMessageBytes, encodeCbor(value));
}

function openSealed<S extends v.GenericSchema>(schema: S, message: Uint8Array, what: string): v.InferOutput<S> {
  if (message.length !== limits.sealedMessageBytes) throw new CircuitError('protocol', `${what} of another size`);
  return decodeCbor(schema, unpad(message), { what, bytesMax: limits.sealedMessageBytes });
}

export function encodeRole(role: Role): Uint8Array {
  return sealedMessage(role);
}

/** @throws CircuitError protocol, DecodeError */
export function decodeRole(message: Uint8Array): Role {
  const role = openSealed(roleSchema, message, 'part of a hop');
  if (role.role === 'stage' && role.first >= role.last) throw new CircuitError('protocol', 'a span without layers');
  return role;
}

export function encodeRoleAnswer(answer: RoleAnswer): Uint8Array {
  return sealedMessage('held' in answer ? answer : clipped(answer));
}

/** @throws CircuitError protocol, DecodeError */
export function decodeRoleAnswer(message: Uint8Array): RoleAnswer {
  return openSealed(answerSchema, message, 'answer of a hop');
}

/** A failure that fits into its cell, however long its text. */
function clipped({ code, message }: WireError): WireError {
  return {
    code: code.slice(0, limits.failureCodeCharsMax),
    message: message.slice(0, limits.failureMessageCharsMax),
  };
}

const resumeLabel = new TextEncoder().encode('unfed circuit resume v1');

/**
 * HMAC-SHA-256 (RFC 2104) over the session's id and the new handshake's fresh key, so that nobody else can use it.
 * @param secret of the handshake by which the session was opened, or resumed last
 */
export function resumeProof(secret: Uint8Array, session: SessionId, clientKey: Uint8Array): Uint8Array {
  return hmac(sha256, secret, concat(resumeLabel, hexToBytes(session), clientKey));
}

/** Commands that carry a control message; the first byte of a plaintext. 0 and 1 belong to the layers. */
const commands = {
  data: 2,
  extend: 3,
  extended: 4,
  truncate: 5,
  truncated: 6,
  rendezvous: 7,
  established: 8,
  failed: 9,
  loop: 10,
  looped: 11,
} as const;

export const dataCommand = commands.data;

const handshake = v.pipe(
  v.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes'),
  v.check((bytes) => bytes.length <= 128 + limits.sealedMessageBytes, 'a handshake'),
);
const empty = v.strictObject({});
const schemas = {
  /** A peer id only: the hop takes the address from an announcement that it verified itself. */
  extend: v.strictObject({ peer: peerIdSchema, handshake }),
  extended: v.strictObject({ handshake }),
  truncate: empty,
  /** What was behind this hop is gone; or who had joined its rendezvous. */
  truncated: v.strictObject({ side: v.picklist(['next', 'rendezvous']), reason: v.picklist(circuitReasons) }),
  /** Who may join, and what proves that it is for this circuit. */
  rendezvous: v.strictObject({ cookie: fixedBytes(cookieBytes), peer: peerIdSchema }),
  established: empty,
  failed: v.strictObject(failureEntries),
  /** Cover: comes back as it is. */
  loop: v.strictObject({ number: integer(0, 0xffff_ffff) }),
  looped: v.strictObject({ number: integer(0, 0xffff_ffff) }),
};

type Schemas = typeof schemas;
export type ControlName = keyof Schemas;
export type Control = { [N in ControlName]: { readonly kind: N } & v.InferOutput<Schemas[N]> }[ControlName];
export type ForwardControl = Extract<Control, { kind: 'extend' | 'truncate' | 'rendezvous' | 'loop' }>;
export type BackwardControl = Exclude<Control, ForwardControl>;

const names = new Map(Object.entries(commands).map(([name, number]) => [number as number, name]));

function isControl(name: string | undefined): name is ControlName {
  return name !== undefined && name in schemas;
}

/** @returns a command, a length and the message: the beginning of a plaintext */
export function encodeControl({ kind, ...body }: Control): Uint8Array {
  const bytes = encodeCbor(kind === 'failed' ? clipped(body as WireError) : body);
  return concat(Uint8Array.of(commands[kind]), padTo(2 + bytes.length, bytes));
}

/** @throws CircuitError protocol, DecodeError, for everything that is no control message */
export function decodeControl(plaintext: Uint8Array): Control {
  const name = names.get(plaintext[0]);
  if (!isControl(name)) throw new CircuitError('protocol', `command ${plaintext[0]}`);
  const bytes = unpad(plaintext.subarray(1, 1 + 2 + limits.controlBytesMax));
  const body = decodeCbor(schemas[name], bytes, { what: `${name} cell`, bytesMax: limits.controlBytesMax });
  return { kind: name, ...body } as Control;
}
