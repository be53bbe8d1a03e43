import { formatSeconds, someText } from "../cli-api.ts";
import { setupEngine, setupOnnxRuntime } from "../index.ts";
import type { Command } from "./command.ts";
import { withoutUndefined } from "./command.ts";
import { flag, value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";

interface SetupValues extends JsonValue {
  readonly onnx?: boolean;
  readonly wheel?: string;
  readonly python?: string;
}

/** `finetune setup` builds the native engine in the user's cache folder. */
export const setupCommand: Command<SetupValues> = {
  name: "setup",
  usage: "setup",
  summary:
    "Builds the native engine on a current TensorFlow, in the user's cache folder; touches no node_modules.",
  options: {},
  flags: {
    onnx: flag(
      "Install ONNX Runtime instead (npm, 290 MB), which runs frozen layers where the engine is wasm, in a fraction of its time",
    ),
    wheel: value("A tensorflow-cpu wheel, or the folder of an installed one", "FILE", someText, {
      otherwise: "pip's",
    }),
    python: value("The Python that is asked for TensorFlow and for pip", "FILE", someText, {
      otherwise: "python3",
    }),
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
      ...withoutUndefined({ wheel: values.wheel, python: values.python }),
      onProgress: (step, message) => terminal.notice(`${step.padEnd(10)}  ${message}`),
    });
    if (values.json) terminal.document(report);
    terminal.print(
      `engine    native: TensorFlow ${report.tensorflow} (${report.origin}), in ${formatSeconds(report.seconds)}`,
    );
    terminal.print(`          ${report.path}`);
  },
};
