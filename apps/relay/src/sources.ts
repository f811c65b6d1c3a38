/** Where requests come from, as far as limits need to know: one key for all addresses that one subscriber holds. */
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An IPv4 address itself; of an IPv6 address its /64, which is the least that a subscriber gets. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const plain = mapped.exec(address)?.[1] ?? address.replace(/%.*$/, '');
  if (isIPv4(plain)) return plain;
  if (!isIPv6(plain)) return 'unknown';
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? before
      : [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':');
}

/** What the proxy in front says of where a request comes from: the last entry, which is its own; the others are anybody's. */
export function forwardedFor(request: IncomingMessage): string | undefined {
  const forwarded = request.headers['x-forwarded-for'];
  return (Array.isArray(forwarded) ? forwarded.join(',') : forwarded)?.split(',').at(-1)?.trim();
}
