/** @file Changes to the shaders of tfjs's WebGPU backend, made where it hands their source to the driver. */
import type { ShaderProgram, WebgpuBackend } from "./gpu-types.ts";

/** A change to the source of one kind of shader. */
export interface ShaderChange {
  /** A name that no other change has: compiled shaders are kept by it. */
  readonly name: string;
  readonly concerns: (program: ShaderProgram) => boolean;
  /** Returns the changed source, undefined if it is not of the expected form. */
  readonly applied: (source: string) => string | undefined;
}

let current: ShaderChange | undefined;

/** Lets the backend change the shaders that run within `withShaders`. */
export function allowShaderChanges(backend: WebgpuBackend): void {
  const run = backend.runWebGPUProgram.bind(backend);
  backend.runWebGPUProgram = (program, ...rest) => {
    if (current?.concerns(program) === true) change(program, current);
    return run(program, ...rest);
  };
}

/** Runs a kernel with a change to its shaders. */
export function withShaders<T>(shaderChange: ShaderChange, run: () => T): T {
  const outer = current;
  current = shaderChange;
  try {
    return run();
  } finally {
    current = outer;
  }
}

function change(program: ShaderProgram, { name, applied }: ShaderChange): void {
  const own = program.getUserCode.bind(program);
  program.shaderKey += `_${name}`;
  program.getUserCode = () => {
    const source = applied(own());
    if (source === undefined) throw new Error(`webgpu: ${program.shaderKey}: a shader of an unknown form`);
    return source;
  };
}
