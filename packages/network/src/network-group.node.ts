/**
 * Names the network that a peer is connected from, so that clients can keep two hops of a circuit out of one network
 * without learning any address: a hash under a key that the relay alone holds.
 */
import { createHmac } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { limits as protocolLimits, type Identity } from '@unfed/protocol';

const keyLabel = 'unfed network group key v1';
const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * HMAC-SHA-256 (RFC 2104), cut to 16 bytes. Its key follows from the relay's seed: it lasts as long as the relay's
 * identity, and another relay's names do not compare.
 * @returns names networks by the address of somebody in them; undefined, no address, is a network too
 */
export function networkGroups(identity: Identity): (address: string | undefined) => Uint8Array {
  const key = createHmac('sha256', identity.seed).update(keyLabel).digest();
  return (address) => {
    const hash = createHmac('sha256', key).update(networkOf(address)).digest();
    return new Uint8Array(hash.subarray(0, protocolLimits.networkGroupBytes));
  };
}

/**
 * The /16 of an IPv4 address, the /32 of an IPv6 address: about what one provider gives to one customer at most. Loopback
 * and private networks are networks like others. Were each address there its own, a relay behind a proxy that hides
 * addresses would seem to protect; so it shows: no circuit can be built.
 */
export function networkOf(address: string | undefined): string {
  const plain = mapped.exec(address ?? '')?.[1] ?? address?.replace(/%.*$/, '') ?? '';
  if (isIPv4(plain)) return `ip4 ${plain.split('.').slice(0, 2).join('.')}`;
  if (!isIPv6(plain)) return 'unknown';
  const [before = '', after] = plain.toLowerCase().split('::');
  const groups = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  // An IPv4 address at the end stands for two groups; there it is never among the first two of what is routed.
  const missing = after === undefined ? 0 : 8 - groups.length - tail.length;
  const whole = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...tail];
  return `ip6 ${whole
    .slice(0, 2)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}`;
}
