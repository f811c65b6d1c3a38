/** What a relay says of itself, from bytes that are anybody's until they are checked. */
import { InvalidValueError, limits as protocolLimits, peerId } from '@unfed/protocol';
import * as v from 'valibot';
import * as limits from './limits.ts';
import type { RelayInfo } from './peer.ts';

const word = v.pipe(v.string(), v.minLength(1), v.maxLength(limits.relayInfoWordCharsMax));
const address = v.pipe(v.string(), v.minLength(1), v.maxLength(protocolLimits.addressCharsMax));

const schema = v.object({
  peer: word,
  addresses: v.pipe(v.array(address), v.minLength(1), v.maxLength(protocolLimits.addressesMax)),
  iceServers: v.pipe(
    v.array(
      v.object({
        urls: v.pipe(word, v.regex(/^(stuns?|turns?):/)),
        username: v.exactOptional(word),
        credential: v.exactOptional(word),
      }),
    ),
    v.maxLength(limits.iceServersMax),
  ),
  models: v.pipe(
    v.array(
      v.object({
        manifest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
        name: word,
        publisher: v.exactOptional(v.pipe(word, v.check(isPeerId, 'an Ed25519 peer id'))),
      }),
    ),
    v.maxLength(limits.relayModelsMax),
  ),
});

/**
 * @param text the answer to `GET /relay.json`
 * @throws InvalidValueError when it is not what a relay says of itself
 */
export function decodeRelayInfo(text: string): RelayInfo {
  if (text.length > limits.relayInfoCharsMax) {
    throw new InvalidValueError('/relay.json', `at most ${limits.relayInfoCharsMax} characters`, `${text.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidValueError('/relay.json', 'JSON', JSON.stringify(text.slice(0, 40)), { cause });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new InvalidValueError(`/relay.json (${v.getDotPath(issue) ?? 'all'})`, 'a relay’s description', issue.message);
}

function isPeerId(text: string): boolean {
  try {
    peerId(text);
    return true;
  } catch {
    return false;
  }
}
