import { afterEach, describe, expect, it, vi } from 'vitest';
import { openDirectRoute } from './direct-route.ts';
import { StageLostError, StepTimeoutError } from './errors.ts';
import { createMemoryPool, poolManifest, SummingRunner, type MemoryPool } from './memory-pool.suite.ts';
import type * as limits from './limits.ts';

// A client waits this long for a step that never comes back.
vi.mock('./limits.ts', async (original) => ({ ...(await original<typeof limits>()), stepMsMax: 100 }));

const width = 4;
let pool: MemoryPool | undefined;
afterEach(() => pool?.stop());

class SilentRunner extends SummingRunner {
  override step(): Promise<never> {
    return new Promise(() => undefined);
  }
}

/** What a step over these stages fails with. */
async function failureOver(runners: readonly SummingRunner[]): Promise<unknown> {
  pool = createMemoryPool(runners, { width, seed: 1, delayMs: 0, jitterMs: 0, lossRate: 0 });
  const { client, network, stages } = pool;
  await vi.waitUntil(() =>
    [client, ...stages].every(
      ({ identity }) => network.directory(identity.peer).announcements().length === runners.length,
    ),
  );
  const hops = stages.map(({ identity, runner }) => ({
    peer: identity.peer,
    span: runner.span,
    backend: 'node-cpu' as const,
  }));
  const directory = network.directory(client.identity.peer);
  const options = { directory, hops, manifest: poolManifest, width, positionsMax: 8, precision: 'f32' as const };
  const route = await openDirectRoute({ links: client.links, ...options });
  return route
    .step({ position: 0, tokens: 1, hidden: new Float32Array(width), wants: 'last' })
    .catch((error: unknown) => error);
}

describe('a step that never comes back (S18)', () => {
  it('through several stages makes each of them a suspect', async () => {
    const [first, second] = [
      { first: 0, last: 2 },
      { first: 2, last: 4 },
    ];
    const error = await failureOver([new SummingRunner(first, width), new SilentRunner(second, width)]);
    expect(error).toBeInstanceOf(StepTimeoutError);
    expect((error as StepTimeoutError).suspects).toEqual(pool?.stages.map(({ identity }) => identity.peer));
  });

  it('through one stage is that stage’s failure', async () => {
    const error = await failureOver([new SilentRunner({ first: 0, last: 2 }, width)]);
    expect(error).toBeInstanceOf(StageLostError);
    expect(error).toMatchObject({ peer: pool?.stages[0].identity.peer, message: /did not answer/ });
  });
});
