import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { startStun, type StunServer } from './stun-server.ts';

const request = Buffer.from('000100002112a442b7e7a701bc34d686fa87dfae', 'hex');

/** Sends datagrams and collects `count` answers. */
async function ask(
  { family, port }: { family: 'udp4' | 'udp6'; port: number },
  datagrams: readonly Uint8Array[],
  count: number,
): Promise<{ answers: Buffer[]; ownPort: number }> {
  const socket = createSocket(family);
  const answers: Buffer[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (bytes) => {
        if (answers.push(bytes) === count) resolve();
      });
      for (const each of datagrams) socket.send(each, port, family === 'udp4' ? '127.0.0.1' : '::1');
    });
    return { answers, ownPort: socket.address().port };
  } finally {
    socket.close();
  }
}

describe('STUN server', () => {
  let server: StunServer | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  it('tells who asks over IPv4 the address it asked from', async () => {
    server = await startStun({ host: '127.0.0.1', port: 0 });
    const { answers, ownPort } = await ask({ family: 'udp4', port: server.port }, [request], 1);
    const value = answers[0]?.subarray(24) ?? Buffer.alloc(8);
    expect(value.readUInt16BE(2) ^ 0x2112).toBe(ownPort);
    expect((value.readUInt32BE(4) ^ 0x2112a442) >>> 0).toBe(0x7f000001);
    expect(server.counts).toEqual({ answered: 1, malformed: 0, limited: 0 });
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));
  it.runIf(hasIpv6)('answers on both families when it listens everywhere', async () => {
    server = await startStun({ host: '0.0.0.0', port: 0 });
    const [four, six] = await Promise.all([
      ask({ family: 'udp4', port: server.port }, [request], 1),
      ask({ family: 'udp6', port: server.port }, [request], 1),
    ]);
    expect(four.answers[0]?.[25]).toBe(1);
    expect(six.answers[0]?.[25]).toBe(2);
  });

  it('drops what is no request, and goes on', async () => {
    server = await startStun({ host: '127.0.0.1', port: 0 });
    const noise = [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(1400, 7)];
    await ask({ family: 'udp4', port: server.port }, [...noise, request], 1);
    expect(server.counts.malformed).toBe(3);
  });

  it('answers one source only so often', async () => {
    server = await startStun({ host: '127.0.0.1', port: 0 });
    const { port, counts } = server;
    const socket = createSocket('udp4');
    const limited = new Promise<void>((resolve) => {
      // One request leads to the next, answered or not, until the limit is felt.
      const next = (): void =>
        counts.limited > 0 ? resolve() : socket.send(request, port, '127.0.0.1', () => setImmediate(next));
      next();
    });
    await limited;
    socket.close();
    expect(counts.answered).toBeGreaterThanOrEqual(limits.stunBurstMax);
  });

  it('says that a port is taken', async () => {
    server = await startStun({ host: '127.0.0.1', port: 0 });
    await expect(startStun({ host: '127.0.0.1', port: server.port })).rejects.toMatchObject({ code: 'listen' });
  });
});
