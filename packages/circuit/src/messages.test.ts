import { sessionId, UnfedError } from '@unfed/protocol';
import { arbitraryBytes, mutated } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { key, manifest, stageRole, World } from './circuit-world.fixture.ts';
import { concat } from './bytes.ts';
import { MessageParts, cutMessage, messageBytesMax } from './data-cells.ts';
import { CircuitError } from './errors.ts';
import * as limits from './limits.ts';
import {
  decodeControl,
  decodeRole,
  decodeRoleAnswer,
  encodeControl,
  encodeRole,
  encodeRoleAnswer,
  resumeProof,
  type Control,
  type Role,
} from './messages.ts';

const world = new World(['f0', 's0']);
const { peer } = world.peer('f0');
const roles: Role[] = [
  { role: 'forward' },
  stageRole(0, 2, peer),
  stageRole(1, 2, peer),
  { ...stageRole(0, 1, peer), resume: { session: new Uint8Array(16), proof: key(1) } },
];
const controls: Control[] = [
  { kind: 'extend', peer, handshake: new Uint8Array(128 + limits.sealedMessageBytes) },
  { kind: 'extended', handshake: new Uint8Array(704) },
  { kind: 'truncate' },
  { kind: 'truncated', side: 'next', reason: 'busy' },
  { kind: 'rendezvous', cookie: new Uint8Array(16), peer },
  { kind: 'established' },
  { kind: 'failed', code: 'busy', message: 'no room' },
  { kind: 'loop', number: 7 },
  { kind: 'looped', number: 7 },
];

/** @returns the value, or undefined for a typed error */
function tried<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof UnfedError) return undefined;
    throw error;
  }
}

describe('parts of hops (C9)', () => {
  it('are read as they were written, and sealed in one size whatever the part', () => {
    for (const role of roles) expect(decodeRole(encodeRole(role))).toEqual(role);
    expect(new Set(roles.map((role) => encodeRole(role).length))).toEqual(new Set([limits.sealedMessageBytes]));
    for (const answer of [{ held: 9 }, { code: 'busy', message: 'no room' }]) {
      expect(decodeRoleAnswer(encodeRoleAnswer(answer))).toEqual(answer);
    }
  });

  it('a refusal fits whatever its text', () => {
    const answer = decodeRoleAnswer(encodeRoleAnswer({ code: 'c'.repeat(999), message: '€'.repeat(999) }));
    expect(answer).toEqual({ code: 'c'.repeat(64), message: '€'.repeat(limits.failureMessageCharsMax) });
  });

  it('a span without layers is none', () => {
    expect(() => decodeRole(encodeRole({ ...stageRole(0, 2, peer), first: 1, last: 1 }))).toThrow(CircuitError);
    expect(manifest).toHaveLength(64);
  });

  it('any bytes are a part, an answer, or a typed error', () => {
    const valid = [...roles.map(encodeRole), encodeRoleAnswer({ held: 1 })];
    const bytes = fc.oneof(
      arbitraryBytes(700),
      ...valid.map(mutated),
      fc.uint8Array({ minLength: 640, maxLength: 640 }),
    );
    fc.assert(
      fc.property(bytes, (noise) => {
        const role = tried(() => decodeRole(noise));
        if (role !== undefined) expect(['forward', 'stage']).toContain(role.role);
        tried(() => decodeRoleAnswer(noise));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('control messages (C10)', () => {
  it('are read as they were written, and fit behind 15 hops', () => {
    for (const control of controls) {
      const bytes = encodeControl(control);
      expect(bytes.length).toBeLessThanOrEqual(3 + limits.controlBytesMax);
      expect(decodeControl(concat(bytes, new Uint8Array(300).fill(9)))).toEqual(control);
    }
  });

  it('any bytes are a control message or a typed error', () => {
    const valid = controls.map(encodeControl);
    fc.assert(
      fc.property(fc.oneof(arbitraryBytes(300), ...valid.map(mutated)), (noise) => {
        const control = tried(() => decodeControl(noise));
        if (control !== undefined) expect(controls.map(({ kind }) => kind)).toContain(control.kind);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('messages in cells (C17)', () => {
  it('any cells give messages or a typed error, and nothing is held that did not come', () => {
    const cell = fc.tuple(fc.uint8Array({ minLength: 7, maxLength: 7 }), fc.boolean()).map(([head, small]) => {
      const plaintext = concat(head, new Uint8Array(limits.plaintextBytes - head.length));
      // Most numbers of cells are beyond the limit: let some be small.
      if (small) plaintext.set([0, head[2] % 4, 0, 0, head[5]], 1);
      return plaintext;
    });
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 20 }), (cells) => {
        let parts = new MessageParts();
        for (const [count, each] of cells.entries()) {
          let message: Uint8Array | undefined;
          try {
            message = parts.push(each);
          } catch (error) {
            expect(error).toBeInstanceOf(CircuitError);
            parts = new MessageParts();
          }
          if (message !== undefined) expect(message.length).toBeLessThanOrEqual((count + 1) * limits.dataCellBytes);
        }
      }),
    );
  });

  it('a message over the limit is refused before it is sent', () => {
    expect(cutMessage(new Uint8Array(messageBytesMax), { padded: true })).toHaveLength(limits.messageCellsMax);
    expect(() => cutMessage(new Uint8Array(messageBytesMax + 1), { padded: false })).toThrow(CircuitError);
  });
});

describe('the proof of a session (C15)', () => {
  it('is of one secret, one session and one handshake', () => {
    const session = sessionId('ab'.repeat(16));
    const proofs = [
      resumeProof(key(1), session, key(2)),
      resumeProof(key(2), session, key(2)),
      resumeProof(key(1), sessionId('cd'.repeat(16)), key(2)),
      resumeProof(key(1), session, key(3)),
    ];
    expect(new Set(proofs.map((proof) => proof.join())).size).toBe(4);
    expect(resumeProof(key(1), session, key(2))).toEqual(proofs[0]);
  });
});
