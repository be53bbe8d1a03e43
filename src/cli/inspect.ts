import { modelFileAt } from "../cli-api.ts";
import type { Inspection, Shape } from "../index.ts";
import { inspect, readCheckpoint } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { picked } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, modelValue } from "./data-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";

/** `finetune inspect M` prints layers, stages, parameters, and what can be frozen where. */
export const inspectCommand: Command<ModelValue & JsonValue> = {
  name: "inspect",
  usage: "inspect MODEL",
  summary: "Lists the layers and stages of a model, their parameters, and what can be frozen where.",
  options: archFlag,
  flags: { ...modelValue, ...jsonFlag },
  positionals: [1, 1],
  takesModel: true,
  examples: [["inspect resnet50.h5", "every layer and stage"]],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = ""] = positionals;
    const file = modelFileAt(model);
    const checkpoint = await readCheckpoint(file, { ...picked(options, "arch"), weights: false });
    const inspection = inspect(checkpoint);
    if (values.json) terminal.document(inspection);
    for (const line of inspectionLines(file, inspection)) terminal.print(line);
  },
};

function inspectionLines(file: string, inspection: Inspection): string[] {
  const { layers, stages, parameters, labels, preprocess, imageSize } = inspection;
  const lines = [
    `model     ${file}  (${inspection.name}, ${inspection.format}, Keras ${inspection.kerasVersion}, ${layers.length} layers)`,
    `params    ${parameters.total.toLocaleString("en-US")}, of which ${parameters.trainable.toLocaleString("en-US")} trainable in the file`,
    `inputs    ${inspection.inputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(", ")}`,
    `outputs   ${inspection.outputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(", ")}`,
  ];
  if (labels) lines.push(`labels    ${labels.join(", ")}`);
  if (preprocess) lines.push(`pixels    ${preprocess}${imageSize ? `, ${imageSize.join("x")}` : ""}`);
  lines.push("", "What can be frozen where:");
  lines.push(
    ...columns(
      [
        ["  --freeze-until", "layers", "params", "frozen before", "first to train"],
        ...stages.map((stage) => [
          `  ${stage.name}`,
          String(stage.layers),
          stage.parameters.toLocaleString("en-US"),
          percent(stage.frozenBefore, parameters.total),
          stage.firstWeighted ?? "-",
        ]),
      ],
      new Set([1, 2, 3]),
    ),
  );
  lines.push("");
  lines.push(
    ...columns(
      [
        ["#", "layer", "class", "stage", "output", "params", "trainable"],
        ...layers.map((layer, index) => [
          String(index),
          layer.path,
          layer.className,
          layer.stage ?? "-",
          shapeText(layer.outputShape),
          layer.parameters.toLocaleString("en-US"),
          layer.parameters === 0 ? "-" : layer.trainable ? "yes" : "no",
        ]),
      ],
      new Set([0, 5]),
    ),
  );
  return lines;
}

function shapeText(shape: Shape | null): string {
  return shape === null ? "?" : `[${shape.map((size) => size ?? "None").join(",")}]`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)}%`;
}
