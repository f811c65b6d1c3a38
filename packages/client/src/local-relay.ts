/** Whether a relay stands on this machine or in a private network, where peers may be dialled at private addresses too. */

/** Loopback and the private ranges of RFC 1918, in a multiaddr. */
const privateAddress = /^\/(ip4\/(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)|ip6\/::1\/|dns[46]?\/localhost\/)/;

/**
 * All of its addresses must be private: one that a public relay adds to its list must not open this machine's network.
 * @param addresses multiaddrs of the relay's WebSocket
 */
export function isLocalRelay(addresses: readonly string[]): boolean {
  return addresses.length > 0 && addresses.every((address) => privateAddress.test(address));
}
