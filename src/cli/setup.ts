import { formatSeconds, someText } from "../cli-api.ts";
import type { SetupReport } from "../index.ts";
import { setupEngine, setupOnnxRuntime } from "../index.ts";
import type { Command } from "./command.ts";
import { withoutUndefined } from "./command.ts";
import { flag, value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";

interface SetupValues extends JsonValue {
  readonly onnx?: boolean;
  readonly gpu?: boolean;
  readonly quiet?: boolean;
  readonly wheel?: string;
  readonly python?: string;
}

/** `finetune setup` installs the native engine, or the GPU's, in the user's cache folder. */
export const setupCommand: Command<SetupValues> = {
  name: "setup",
  usage: "setup",
  summary:
    "Builds the native engine on a current TensorFlow, or brings the GPU's, in the user's cache folder; touches no node_modules.",
  options: {},
  flags: {
    onnx: flag(
      "Install ONNX Runtime instead (npm, 290 MB), which runs frozen layers where the engine is wasm, in a fraction of its time",
    ),
    gpu: flag("Bring the webgpu engine, for any GPU, in place of building the native one"),
    wheel: value("A tensorflow-cpu wheel, or the folder of an installed one", "FILE", someText, {
      otherwise: "pip's",
    }),
    python: value("The Python that is asked for TensorFlow and for pip", "FILE", someText, {
      otherwise: "python3",
    }),
    quiet: flag("Print the result, warnings and errors alone", "Output"),
    ...jsonFlag,
  },
  positionals: [0, 0],
  examples: [],
  run: async ({ values, terminal }) => {
    if (values.onnx) {
      const { name, version, path, seconds } = await setupOnnxRuntime({
        onProgress: (step, message) => terminal.notice(`${step.padEnd(10)}  ${message}`),
      });
      if (values.json) terminal.document({ name, version, path, seconds });
      terminal.print(
        `engine    wasm with ONNX Runtime ${version} for frozen layers, in ${formatSeconds(seconds)}`,
      );
      terminal.print(`          ${path}`);
      return;
    }
    const report = await setupEngine({
      ...withoutUndefined({ gpu: values.gpu, wheel: values.wheel, python: values.python }),
      onProgress: (step, message) => terminal.hint(`${step.padEnd(10)}  ${message}`),
      onDownload: (what, bytes, total) =>
        terminal.progress.update(what, megabytes(bytes), Math.max(megabytes(bytes), megabytes(total)), "MB"),
    });
    terminal.progress.clear();
    if (values.json) terminal.document(report);
    for (const line of reportLines(report)) terminal.print(line);
  },
};

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function reportLines(report: SetupReport): string[] {
  const took = `in ${formatSeconds(report.seconds)}`;
  const path = `          ${report.path}`;
  if (report.name === "native")
    return [`engine    native: TensorFlow ${report.tensorflow} (${report.origin}), ${took}`, path];
  const { adapter, driver, isSoftware } = report;
  const gpu = adapter === null ? "no GPU with a driver here" : `${adapter} (${driver})`;
  const hints = isSoftware
    ? ["hint      this driver computes on the CPU: only --engine webgpu takes it"]
    : [];
  return [`engine    webgpu: ${gpu}, ${took}`, path, ...hints];
}
