import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "../../src/tensor.ts";
import { float32Tensor } from "../../src/tensor.ts";

export interface KerasAnswer {
  readonly output: Tensor;
  /** `trainable` by layer name, top level. */
  readonly trainable: Readonly<Record<string, boolean>>;
}

/** What living Keras predicts for `input` with the model file at `path`. */
export function kerasPredict(path: string, input: Tensor): KerasAnswer {
  const folder = mkdtempSync(join(tmpdir(), "keras-parity-"));
  try {
    const inputPath = join(folder, "input.bin");
    const outputPath = join(folder, "output.bin");
    const values = input.data as Float32Array;
    writeFileSync(inputPath, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    const printed = execFileSync(
      process.env["KERAS_PYTHON"]!,
      ["test/parity/predict.py", path, inputPath, JSON.stringify(input.shape), outputPath],
      { encoding: "utf8", env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" } },
    );
    const { shape, trainable } = JSON.parse(printed.trim().split("\n").at(-1)!) as {
      shape: number[];
      trainable: Record<string, boolean>;
    };
    const bytes = readFileSync(outputPath);
    const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    return { output: float32Tensor(data, shape), trainable };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
