/** Counts of what the relay does, in Prometheus' text format (0.0.4). Nothing in it tells one person from another. */
import type { StunCounts } from './stun-server.ts';

export type Route = 'page' | 'models' | 'relay.json' | 'health' | 'metrics' | 'none';
export type Refusal = 'requests' | 'upgrades' | 'sockets';

export interface Gauges {
  readonly connections: number;
  readonly announcements: number;
  readonly sockets: number;
  readonly stun: Readonly<StunCounts>;
}

export class Metrics {
  readonly #answers = new Map<string, number>();
  readonly #refusals = new Map<Refusal, number>();
  #modelBytes = 0;
  #upgrades = 0;

  answered(route: Route, status: number): void {
    const labels = `route="${route}",status="${status}"`;
    this.#answers.set(labels, (this.#answers.get(labels) ?? 0) + 1);
  }

  refused(limit: Refusal): void {
    this.#refusals.set(limit, (this.#refusals.get(limit) ?? 0) + 1);
  }

  sentModelBytes(bytes: number): void {
    this.#modelBytes += bytes;
  }

  upgraded(): void {
    this.#upgrades++;
  }

  text({ connections, announcements, sockets, stun }: Gauges): string {
    const answers = [...this.#answers].map(([labels, count]) => [`{${labels}}`, count] as const);
    const refusals = [...this.#refusals].map(([limit, count]) => [`{limit="${limit}"}`, count] as const);
    const outcomes = Object.entries(stun).map(([outcome, count]) => [`{outcome="${outcome}"}`, count] as const);
    const memoryBytes = process.memoryUsage.rss();
    return [
      metric('http_requests_total', 'counter', 'Requests answered.', answers),
      metric('refused_total', 'counter', 'What was refused because a limit was reached.', refusals),
      metric('model_bytes_total', 'counter', 'Bytes of model files sent.', [['', this.#modelBytes]]),
      metric('websockets_total', 'counter', 'WebSockets taken.', [['', this.#upgrades]]),
      metric('sockets', 'gauge', 'TCP sockets open.', [['', sockets]]),
      metric('connections', 'gauge', 'Peers connected.', [['', connections]]),
      metric('announcements', 'gauge', 'Announcements in the directory.', [['', announcements]]),
      metric('stun_requests_total', 'counter', 'STUN datagrams by what became of them.', outcomes),
      metric('memory_bytes', 'gauge', 'Resident memory of the process.', [['', memoryBytes]]),
      metric('uptime_seconds', 'gauge', 'Since the process started.', [['', Math.floor(process.uptime())]]),
    ].join('');
  }
}

function metric(
  name: string,
  type: 'counter' | 'gauge',
  ...[help, values]: [help: string, values: readonly (readonly [string, number])[]]
): string {
  const full = `unfed_relay_${name}`;
  const lines = values.map(([labels, value]) => `${full}${labels} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
}
