/**
 * Notices peers that left without a word (SPEC.md, H rules). libp2p's own monitor closes a connection at the first
 * ping that is late, also when this very process was too busy to read the answer; here only seconds count in which
 * this process was awake. One long-lived stream a connection: each side calls every second, and answers every call at
 * once, because the timers of hidden tabs may be slowed to one a minute while their messages still come.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { isRelayed } from './connections.ts';
import * as limits from './limits.ts';

export const aliveProtocol = '/unfed/alive/1';

const call = 1;
const answer = 2;

/** What of libp2p this needs. */
export type HeartbeatHost = Pick<Libp2p, 'handle' | 'addEventListener'>;

interface Pulse {
  readonly connection: Connection;
  stream: Stream | undefined;
  opening: boolean;
  silentTicks: number;
}

export class Heartbeat {
  readonly #libp2p: HeartbeatHost;
  readonly #onTick: () => void;
  readonly #pulses = new Map<string, Pulse>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param onTick called every second that this process is awake */
  constructor(libp2p: HeartbeatHost, onTick: () => void) {
    this.#libp2p = libp2p;
    this.#onTick = onTick;
  }

  async start(): Promise<void> {
    const onStream = (stream: Stream, connection: Connection): void => this.#attach(stream, this.#pulse(connection));
    await this.#libp2p.handle(aliveProtocol, onStream, { maxInboundStreams: 1 });
    this.#libp2p.addEventListener('connection:open', ({ detail }) => this.#pulse(detail));
    this.#libp2p.addEventListener('connection:close', ({ detail }) => this.#pulses.delete(detail.id));
    this.#timer = setInterval(() => this.#tick(), limits.heartbeatMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#pulses.clear();
  }

  /** Something else came over this connection, which proves as much; a call may be stuck behind it. */
  heard(connection: Connection): void {
    const pulse = this.#pulses.get(connection.id);
    if (pulse !== undefined) pulse.silentTicks = 0;
  }

  /** Somebody says that this peer has gone: believe it sooner. */
  suspect(peer: string): void {
    const ticks = limits.heartbeatSilentTicksMax - limits.heartbeatSuspectTicks;
    for (const pulse of this.#pulses.values()) {
      if (pulse.connection.remotePeer.toString() === peer) pulse.silentTicks = Math.max(pulse.silentTicks, ticks);
    }
  }

  #pulse(connection: Connection): Pulse {
    let pulse = this.#pulses.get(connection.id);
    if (pulse === undefined) {
      pulse = { connection, stream: undefined, opening: false, silentTicks: 0 };
      // Relayed connections live and die with the one to the relay.
      if (!isRelayed(connection)) this.#pulses.set(connection.id, pulse);
    }
    return pulse;
  }

  #attach(stream: Stream, pulse: Pulse): void {
    pulse.stream = stream;
    stream.addEventListener('message', ({ data }) => {
      pulse.silentTicks = 0;
      if (data.subarray().includes(call)) say(pulse, answer);
    });
    stream.addEventListener('close', () => {
      if (pulse.stream === stream) pulse.stream = undefined;
    });
  }

  #tick(): void {
    for (const pulse of this.#pulses.values()) {
      pulse.silentTicks++;
      if (pulse.silentTicks > limits.heartbeatSilentTicksMax) {
        this.#pulses.delete(pulse.connection.id);
        pulse.connection.abort(new Error(`silent for ${limits.heartbeatSilentTicksMax} s`));
      } else {
        this.#beat(pulse);
      }
    }
    this.#onTick();
  }

  #beat(pulse: Pulse): void {
    const { connection, stream } = pulse;
    if (stream === undefined) {
      // The side that opened the connection opens the stream, and opens it again should it break.
      if (connection.direction === 'outbound' && !pulse.opening) void this.#open(pulse);
      return;
    }
    say(pulse, call);
  }

  async #open(pulse: Pulse): Promise<void> {
    pulse.opening = true;
    try {
      const signal = AbortSignal.timeout(limits.heartbeatMs * limits.heartbeatSilentTicksMax);
      const stream = await pulse.connection.newStream(aliveProtocol, { signal });
      this.#attach(stream, pulse);
      this.#beat(pulse);
    } catch {
      // Counted by the silence: the next tick tries again.
    } finally {
      pulse.opening = false;
    }
  }
}

function say(pulse: Pulse, byte: number): void {
  const { stream } = pulse;
  if (stream === undefined || stream.writableNeedsDrain) return;
  try {
    stream.send(Uint8Array.of(byte));
  } catch {
    pulse.stream = undefined;
  }
}
