/** What libp2p assumes and Node 20 lacks. Imported before it. */
import { WebSocket } from 'ws';
import { deferred } from './deferred.ts';

/** `ws` throws errors that nobody listens for, such as a refused connection that was given up; browsers do not. */
class QuietWebSocket extends WebSocket {
  constructor(...args: ConstructorParameters<typeof WebSocket>) {
    super(...args);
    this.on('error', () => undefined);
  }
}

const missing: PropertyDescriptor = { writable: true, configurable: true };
if (!('withResolvers' in Promise)) Object.defineProperty(Promise, 'withResolvers', { ...missing, value: deferred });
if (!('WebSocket' in globalThis)) Object.defineProperty(globalThis, 'WebSocket', { ...missing, value: QuietWebSocket });
