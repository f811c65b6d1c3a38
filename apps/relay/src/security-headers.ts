/** What every answer tells a browser: run only our own code, talk only to this relay, be isolated from other origins. */
import type { ServerResponse } from 'node:http';

/**
 * @param socketOrigins of the relay's own WebSocket, which may be reached by another name than the page
 * @returns a policy that allows the page's own scripts, workers, WebAssembly and the relay, and nothing else
 */
export function contentSecurityPolicy(socketOrigins: readonly string[]): string {
  return [
    "default-src 'none'",
    // Compiling WebAssembly, not evaluating text.
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src ${["'self'", ...socketOrigins].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

export function setSecurityHeaders(response: ServerResponse, socketOrigins: readonly string[]): void {
  response.setHeader('Content-Security-Policy', contentSecurityPolicy(socketOrigins));
  // Both together make the page cross-origin isolated, which threads of WebAssembly need.
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Permissions-Policy', 'camera=(), microphone=(), geolocation=(), payment=(), usb=()');
}

/** Models are public and verified by whoever takes them: pages of other relays and of developers may fetch them too. */
export function allowOtherOrigins(response: ServerResponse): void {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Expose-Headers', 'Content-Range, Content-Length, Accept-Ranges');
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
}
