/** The name under which tfjs's WebGPU backend registers itself and its kernels. */
export const webgpuBackendName = "webgpu";
