import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { StringTensor, Tensor } from "../../src/tensor.ts";
import { elementCount, float32Tensor } from "../../src/tensor.ts";

/** A running Python with real Keras, asked one question at a time. */
export interface Keras {
  /** What the action of `ask_keras.py` answers; tensors go both ways as float32, or as texts. */
  ask<Answer>(action: string, question: Readonly<Record<string, unknown>>): Promise<Answer>;
  /** A folder of this process's, for model files. */
  readonly folder: string;
  close(): void;
}

/** A current Keras 3, 3.0.5, or Keras 2.15. */
export type KerasRelease = "current" | "early" | "keras2";

const pythons: Readonly<Record<KerasRelease, string>> = {
  current: "KERAS_PYTHON",
  early: "EARLY_KERAS_PYTHON",
  keras2: "KERAS2_PYTHON",
};

/** Starts the Python of that Keras, which takes some seconds. */
export function startKeras(release: KerasRelease = "current"): Keras {
  const folder = mkdtempSync(join(tmpdir(), "keras-parity-"));
  const files = { question: join(folder, "question.bin"), answer: join(folder, "answer.bin") };
  const program = process.env[pythons[release]]!;
  const python = spawn(program, ["test/parity/serve.py", files.question, files.answer], {
    env: { ...process.env, CUDA_VISIBLE_DEVICES: "", PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaints = "";
  python.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-4000);
  });
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  return {
    folder,
    ask: async <Answer>(action: string, question: Readonly<Record<string, unknown>>): Promise<Answer> => {
      const chunks: Uint8Array[] = [];
      const line = JSON.stringify({ action, arguments: packed(question, chunks) });
      writeFileSync(files.question, Buffer.concat(chunks));
      python.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`Keras ended while asked to ${action}: ${complaints}`);
      const { answer, error } = JSON.parse(value) as { answer?: unknown; error?: string };
      if (error !== undefined) throw new Error(`Keras, asked to ${action}: ${error}`);
      return unpacked(answer, readFileSync(files.answer)) as Answer;
    },
    close: () => {
      python.stdin.end();
      python.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Tensors replaced by their place in `chunks`. */
function packed(value: unknown, chunks: Uint8Array[]): unknown {
  if (Array.isArray(value)) return value.map((item) => packed(item, chunks));
  if (typeof value !== "object" || value === null) return value;
  if ("data" in value && "dtype" in value && value.dtype === "string") {
    return { shape: (value as StringTensor).shape, strings: (value as StringTensor).data };
  }
  if ("data" in value && value.data instanceof Float32Array) {
    const offset = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    chunks.push(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength));
    return { shape: (value as Tensor).shape, offset };
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, packed(item, chunks)]));
}

function unpacked(value: unknown, bytes: Buffer): unknown {
  if (Array.isArray(value)) return value.map((item) => unpacked(item, bytes));
  if (typeof value !== "object" || value === null) return value;
  const place = value as { shape?: number[]; offset?: number; strings?: string[] };
  if (place.shape && place.strings) return { dtype: "string", shape: place.shape, data: place.strings };
  if (place.shape && place.offset !== undefined) {
    const start = bytes.byteOffset + place.offset;
    return float32Tensor(
      new Float32Array(bytes.buffer.slice(start, start + 4 * elementCount(place.shape))),
      place.shape,
    );
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpacked(item, bytes)]));
}
