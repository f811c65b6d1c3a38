/** What libp2p assumes and Node 20 lacks. Imported before it. */
import { WebSocket } from 'ws';

Promise.withResolvers ??= function withResolvers<T>() {
  let resolve: PromiseWithResolvers<T>['resolve'] = () => undefined;
  let reject: PromiseWithResolvers<T>['reject'] = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};

Object.defineProperty(globalThis, 'WebSocket', {
  value: globalThis.WebSocket ?? WebSocket,
  writable: true,
  configurable: true,
});
