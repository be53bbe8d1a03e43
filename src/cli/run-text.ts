import { costRows } from "../cli-api.ts";
import type { EngineInfo, FinetuneResult } from "../index.ts";
import { columns } from "./columns.ts";

/** `0.6931`; `3.2e-5` where four places would say nothing. */
export function figure(value: number): string {
  return value !== 0 && Math.abs(value) < 5e-4 ? value.toExponential(1) : value.toFixed(4);
}

/** `engine    native: TensorFlow 2.21.0, tfjs 4.22.0, 2 threads` */
export function engineLine({
  name,
  tfjs,
  tensorflow,
  threads,
  precision,
  adapter,
  driver,
  onnx,
}: EngineInfo): string {
  if (name === "webgpu") return `engine    webgpu: tfjs ${tfjs}, ${adapter} (${driver})`;
  const version = tensorflow ? `TensorFlow ${tensorflow}, tfjs ${tfjs}` : `tfjs ${tfjs}`;
  const beside = onnx === undefined ? "" : `; frozen layers on ONNX Runtime ${onnx}`;
  const rounded = precision === "bf16" ? ", bf16" : "";
  return `engine    ${name}: ${version}, ${threads} thread${threads === 1 ? "" : "s"}${rounded}${beside}`;
}

/** Returns a hint if the engine is not the fast one. */
export function slowEngineLines({ name }: EngineInfo): string[] {
  if (name !== "wasm") return [];
  return [
    "hint      wasm takes two to four times as long as the native engine; `finetune setup` builds that one, and",
    "          `finetune setup --gpu` brings one for GPUs",
  ];
}

/** Returns the predicted cost beside the measured one, as lines. Without a prediction only the measured cost is shown. */
export function costTable({ plan, measured }: FinetuneResult): string[] {
  const rows = costRows(plan, measured);
  if (!plan.cost)
    return columns([["cost", "measured"], ...rows.map(({ what, measured: value }) => [`  ${what}`, value])]);
  return columns([
    ["cost", "predicted", "measured"],
    ...rows.map(({ what, predicted, measured: value }) => [`  ${what}`, predicted, value]),
  ]);
}
