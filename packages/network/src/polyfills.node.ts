/** What libp2p assumes and Node 20 lacks. Imported before it. */
import { WebSocket } from 'ws';
import { deferred } from './deferred.ts';

const missing: PropertyDescriptor = { writable: true, configurable: true };
if (!('withResolvers' in Promise)) Object.defineProperty(Promise, 'withResolvers', { ...missing, value: deferred });
if (!('WebSocket' in globalThis)) Object.defineProperty(globalThis, 'WebSocket', { ...missing, value: WebSocket });
