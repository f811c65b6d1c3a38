/** Answers with files, by `send`: types, conditions, ranges, and no way out of the folder. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import send from 'send';
import * as limits from './limits.ts';

export function answerText(response: ServerResponse, status: number, text: string): void {
  const bytes = Buffer.from(text);
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': bytes.length });
  response.end(bytes);
}

interface FileOptions {
  readonly folder: string;
  readonly path: string;
  /** The content of the path is in its name, and never changes. */
  readonly immutable: boolean;
  readonly onMissing: () => void;
}

function sendFile(request: IncomingMessage, response: ServerResponse, options: FileOptions): void {
  const { folder, path, immutable, onMissing } = options;
  send(request, path, { root: folder, cacheControl: false, dotfiles: 'ignore', index: 'index.html' })
    .on('headers', () => {
      const forever = `public, max-age=${limits.assetMaxAgeSeconds}, immutable`;
      response.setHeader('Cache-Control', immutable ? forever : 'no-cache');
    })
    .on('directory', onMissing)
    .on('error', (error: { status?: number }) => {
      if (error.status === 404 || error.status === undefined) onMissing();
      else if (!response.headersSent) answerText(response, error.status, `this cannot be served (${error.status})\n`);
      else response.destroy();
    })
    .pipe(response);
}

/** A file of the built page; a path that looks like a place in the page is answered with the page itself. */
export function servePage(
  request: IncomingMessage,
  response: ServerResponse,
  page: { folder: string; path: string },
): void {
  const { folder, path } = page;
  const missing = (): void => answerText(response, 404, 'there is no such file\n');
  const isPlace = !/\.[^/]*$/.test(path) && (request.headers.accept ?? '*/*').match(/text\/html|\*\/\*/) !== null;
  const unbuilt = (): void => answerText(response, 404, 'the page is not built; run npm run build\n');
  const fallback = (): void =>
    sendFile(request, response, { folder, path: '/index.html', immutable: false, onMissing: unbuilt });
  const onMissing = isPlace ? fallback : missing;
  sendFile(request, response, { folder, path, immutable: path.startsWith('/assets/'), onMissing });
}

interface ModelFile {
  readonly folder: string;
  readonly path: string;
  /** Its length by the manifest, which a range must lie within. */
  readonly bytes: number;
  /** Its content follows from its path. */
  readonly immutable: boolean;
}

/** A file of a model. */
export function serveModelFile(request: IncomingMessage, response: ServerResponse, file: ModelFile): void {
  const { range } = request.headers;
  if (range !== undefined && !isPlainRange(range, file.bytes)) {
    response.setHeader('Content-Range', `bytes */${file.bytes}`);
    answerText(response, 416, `expected bytes=FIRST- or bytes=FIRST-LAST below ${file.bytes}\n`);
    return;
  }
  const onMissing = (): void => answerText(response, 404, 'there is no such file\n');
  sendFile(request, response, { ...file, onMissing });
}

/** One range with a first byte within the file: what a fetcher of chunks needs, and nothing cleverer. */
function isPlainRange(range: string, bytes: number): boolean {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(range) ?? [];
  if (first === undefined || Number(first) >= bytes) return false;
  return last === '' || last === undefined || Number(last) >= Number(first);
}
