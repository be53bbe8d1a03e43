/** The name under which the WebAssembly backend is registered. */
export const wasmBackendName = "wasm";
