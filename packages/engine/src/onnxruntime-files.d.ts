/** Files of onnxruntime-web that the bundler serves as they are; the import is their address. */

declare module 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url' {
  const url: string;
  export default url;
}
declare module 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url' {
  const url: string;
  export default url;
}
declare module 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url' {
  const url: string;
  export default url;
}
declare module 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url' {
  const url: string;
  export default url;
}
