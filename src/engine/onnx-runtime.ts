/** @file ONNX Runtime, which `finetune setup --onnx` installs: it runs frozen layers where the engine is wasm. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { MachineError } from "../errors.ts";
import { optionName } from "../options.ts";
import { engineHome, installedOnnxRuntime } from "./home.ts";

/** The part of onnxruntime-node that is used. */
export interface OnnxRuntime {
  createSession(model: Uint8Array, threads: number): Promise<OnnxSession>;
}

export interface OnnxSession {
  /** Returns the outputs in the model's order. Inputs are in the model's order too. */
  run(inputs: readonly OnnxTensor[]): Promise<readonly OnnxTensor[]>;
  release(): Promise<void>;
}

export interface OnnxTensor {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** The exports of onnxruntime-node that are used (`onnxruntime-common/dist/esm/inference-session.d.ts`). */
interface Library {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(
    feeds: object,
  ): Promise<Readonly<Record<string, { readonly data: unknown; readonly dims: readonly number[] }>>>;
  release(): Promise<void>;
}

/** Returns the version of ONNX Runtime that is installed; undefined where there is none, or `KERAS_FINETUNE_ONNX` is 0. */
export function onnxRuntimeVersion(): string | undefined {
  if (process.env["KERAS_FINETUNE_ONNX"] === "0") return undefined;
  return installedOnnxRuntime(engineHome())?.version;
}

/** Loads ONNX Runtime from a folder with its package, by default the installed one. @throws {MachineError} where it does not load. */
export function loadOnnxRuntime(folder?: string): OnnxRuntime {
  const home = engineHome();
  const place = folder ?? join(home, installedOnnxRuntime(home)?.folder ?? "");
  try {
    const library = createRequire(join(place, "package.json"))("onnxruntime-node") as Library;
    return { createSession: (model, threads) => sessionOf(library, model, threads) };
  } catch (error) {
    throw new MachineError(
      `${place}: ONNX Runtime does not load: ${(error as Error).message.split("\n")[0]}. Install it again (\`finetune setup\`, ${optionName("onnx")}), or set KERAS_FINETUNE_ONNX=0.`,
      "onnx-runtime",
    );
  }
}

async function sessionOf(library: Library, model: Uint8Array, threads: number): Promise<OnnxSession> {
  const session = await library.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  return {
    run: async (inputs) => {
      const feeds = inputs.map(({ dtype, data, shape }, index) => [
        session.inputNames[index] ?? "",
        new library.Tensor(dtype, data, shape),
      ]);
      const results = await session.run(Object.fromEntries(feeds));
      return session.outputNames.map((name): OnnxTensor => {
        const { data, dims: shape } = results[name] ?? { data: null, dims: [] };
        if (data instanceof Float32Array) return { dtype: "float32", shape, data };
        if (data instanceof Int32Array) return { dtype: "int32", shape, data };
        throw new MachineError(`${name}: expected numbers from ONNX Runtime, got others.`, "onnx-runtime");
      });
    },
    release: () => session.release(),
  };
}
