import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { httpFiles } from './http-seed.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('parts of a response that were read are not kept until the last has come', async () => {
  const parts: WeakRef<Uint8Array>[] = [];
  const body = () =>
    new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const part = new Uint8Array(1 << 16);
          parts.push(new WeakRef(part));
          controller.enqueue(part);
        },
      },
      { highWaterMark: 0 },
    );
  const files = httpFiles({ baseUrl: 'http://localhost', fetch: async () => new Response(body()) });
  const reading = files.read({ path: 'a', start: 0, again: false, signal: undefined })[Symbol.asyncIterator]();
  const count = 64;
  for (let i = 0; i < count; i++) await reading.next();
  await new Promise((resolve) => setTimeout(resolve));
  collectGarbage();
  // The last ones may still be on a stack.
  expect(parts.filter((part) => part.deref() !== undefined).length).toBeLessThan(count / 4);
  await reading.return?.();
});
