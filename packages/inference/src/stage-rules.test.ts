import { encodeControl, encodeStep, randomSessionId, type ControlFrame, type SessionId } from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as limits from './limits.ts';
import { createMemoryPool, poolManifest, SummingRunner, testIdentity, type MemoryPool } from './memory-pool.suite.ts';
import { createStageService } from './stage-service.ts';

const width = 4;
const span = { first: 0, last: 2 };
let pool: MemoryPool;
let runner: SummingRunner;
/** What the stage answers to the client's one session. */
let answers: (ControlFrame | { readonly kind: 'result' })[];
let session: SessionId;

beforeEach(() => {
  runner = new SummingRunner(span, width);
  pool = createMemoryPool([runner], { width, seed: 1 });
  session = randomSessionId();
  answers = [];
  pool.client.links.addClient(session, {
    resultsFrom: pool.stages[0].identity.peer,
    onControl: (frame) => void answers.push(frame),
    onResult: () => void answers.push({ kind: 'result' }),
    onLinkClosed: () => undefined,
  });
});
afterEach(() => pool.stop());

async function send(frame: Uint8Array): Promise<void> {
  const link = await pool.client.links.open(pool.stages[0].identity.peer);
  await link.send(frame);
}

const open = (change: Partial<Extract<ControlFrame, { kind: 'open' }>> = {}) =>
  send(
    encodeControl({
      kind: 'open',
      session,
      manifest: poolManifest,
      ...span,
      positionsMax: 64,
      previous: null,
      next: null,
      ...change,
    }),
  );

const step = (number: number, change: { deadlineMs?: number; width?: number; tokens?: number } = {}) => {
  const { deadlineMs = 0, tokens = 1 } = change;
  const payload = new Uint8Array(tokens * (change.width ?? width) * Float32Array.BYTES_PER_ELEMENT);
  const fixed = { tokens, wants: 'last', precision: 'f32' } as const;
  return send(encodeStep({ ...fixed, session, number, position: number * tokens, deadlineMs, payload }));
};

/** The runner computes nothing before the returned function is called. */
function holdRunner(): () => void {
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const compute = runner.step.bind(runner);
  runner.step = async (work) => gate.then(() => compute(work));
  return letGo;
}

const untilAnswers = (count: number) => vi.waitUntil(() => answers.length >= count);

async function failureOf(): Promise<string | undefined> {
  const failed = await vi.waitUntil(() => answers.find((answer) => answer.kind === 'failed'));
  return failed.kind === 'failed' ? failed.code : undefined;
}

describe('the rules of a stage (SPEC.md)', () => {
  it('S3: a next stage that nobody announced is not dialled', async () => {
    await open({ next: testIdentity(77).peer });
    expect(await failureOf()).toBe('next-unknown');
    expect(runner.sessions.size).toBe(0);
  });

  it('S6: steps over the limit of those that wait fail the session', async () => {
    const letGo = holdRunner();
    await open();
    await untilAnswers(1);
    for (let number = 0; number < limits.stepsQueuedMax; number++) await step(number);
    expect(pool.stages[0].service.sessions).toBe(1);
    await step(limits.stepsQueuedMax);
    expect(await failureOf()).toBe('busy');
    letGo();
    expect(pool.stages[0].service.sessions).toBe(0);
  });

  it('S16: steps over the bytes that one link may have waiting fail the session, and what waited is dropped', async () => {
    const wide = 8192;
    const tokens = limits.prefillStepPositionsMax;
    const stepBytes = wide * tokens * Float32Array.BYTES_PER_ELEMENT;
    const { links } = pool.stages[0];
    const directory = pool.network.directory(links.self);
    const service = createStageService({ links, runner, manifest: poolManifest, width: wide, directory });
    const letGo = holdRunner();
    await open();
    await untilAnswers(1);
    const fit = limits.stepBytesQueuedPerLinkMax / stepBytes;
    for (let number = 0; number < fit; number++) await step(number, { width: wide, tokens });
    expect([service.sessions, service.stepBytesQueued]).toEqual([1, limits.stepBytesQueuedPerLinkMax]);
    await step(fit, { width: wide, tokens });
    expect(await failureOf()).toBe('busy');
    // The one that is computed is held until it is done.
    expect([service.sessions, service.stepBytesQueued]).toEqual([0, stepBytes]);
    letGo();
    await vi.waitUntil(() => service.stepBytesQueued === 0);
    expect(runner.stepsServed).toBe(0);
  });

  it('S17: a step of more positions than a stage may be deaf for fails the session', async () => {
    await open();
    await untilAnswers(1);
    await step(0, { tokens: limits.prefillStepPositionsMax + 1 });
    expect(await failureOf()).toBe('step-too-long');
    expect([runner.sessions.size, runner.stepsServed]).toEqual([0, 0]);
  });

  it('S9: a step that waited past its deadline is not computed', async () => {
    let nowMs = 0;
    const { links } = pool.stages[0];
    const directory = pool.network.directory(links.self);
    const nextMs = () => (nowMs += 1000);
    createStageService({ links, runner, manifest: poolManifest, width, directory, nowMs: nextMs });
    await open();
    await untilAnswers(1);
    await step(0, { deadlineMs: 5000 });
    await untilAnswers(2);
    expect(answers.map(({ kind }) => kind)).toEqual(['opened', 'result']);
    await step(1, { deadlineMs: 500 });
    expect(await failureOf()).toBe('deadline');
    expect(runner.stepsServed).toBe(1);
  });

  it('S10: hidden states of another width fail the session', async () => {
    await open();
    await untilAnswers(1);
    await step(0, { width: width * 2 });
    expect(await failureOf()).toBe('wrong-width');
    expect([runner.sessions.size, runner.stepsServed]).toEqual([0, 0]);
  });

  it('S14: a step of a session that is not held is answered unknown-session', async () => {
    await step(0);
    expect(await failureOf()).toBe('unknown-session');
  });
});
