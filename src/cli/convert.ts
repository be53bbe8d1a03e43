import { existsSync } from "node:fs";
import type { Checkpoint, InputTensor } from "../index.ts";
import {
  forEarlyKeras3,
  layerGraph,
  modelFileAt,
  predict,
  readCheckpoint,
  TopologyError,
  UsageError,
  writeCheckpoint,
  writingWarnings,
} from "../index.ts";
import type { Command, FlagsOf } from "./command.ts";
import { flag, value } from "./command.ts";
import type { ArchValue, EngineValues, JsonValue, KerasValue } from "./run-flags.ts";
import { archFlag, chooseEngine, engineFlags, jsonFlag, kerasFlag, withoutUndefined } from "./run-flags.ts";
import { byteSize } from "./values.ts";

interface ConvertValues extends ArchValue, EngineValues, KerasValue, JsonValue {
  readonly overwrite?: boolean;
  readonly "max-shard-size"?: number;
}

const flags: FlagsOf<ConvertValues> = {
  overwrite: flag("Replace OUT if it exists"),
  ...kerasFlag,
  "max-shard-size": value(
    "What the weights of one shard of a .weights.json take at most (5GB)",
    "SIZE",
    byteSize,
    "Output",
  ),
  ...archFlag,
  ...engineFlags,
  ...jsonFlag,
};

/** What the written file predicts beside the one that was read. */
interface Parity {
  readonly samples: number;
  /** Of the outputs' absolute differences. */
  readonly maxDifference: number;
  /** Of the outputs' absolute values. */
  readonly maxOutput: number;
}

/** `finetune convert IN OUT`: the format by OUT's extension, a folder of tfjs where it has none. */
export const convertCommand: Command<ConvertValues> = {
  name: "convert",
  usage: "convert IN OUT",
  summary:
    "Writes a model in another format, by OUT's extension (none: a folder of tfjs), and compares what both predict.",
  flags,
  positionals: [2, 2],
  examples: [
    ["convert resnet50.h5 resnet50.keras", "an .h5 of any Keras as .keras"],
    ["convert model.h5 model.keras --keras 3.0", "a .keras that Keras 3.0 to 3.3 open too"],
    [
      "convert big.keras big.weights.json --max-shard-size 2GB",
      "weights alone, in files of 2 GB that load_weights opens",
    ],
    ["convert resnet50.keras web_model/", "a folder that tf.loadLayersModel opens"],
  ],
  run: async ({ values, positionals, terminal }) => {
    const source = modelFileAt(positionals[0]!);
    const target = positionals[1]!;
    if (existsSync(target) && !values.overwrite) {
      throw new UsageError(
        `${target}: expected a new file, got one that exists. Pass --overwrite to replace it.`,
        "out-exists",
      );
    }
    if (values.keras && !target.endsWith(".keras")) {
      throw new UsageError(
        `${target}: expected a name that ends in .keras with --keras ${values.keras}. Leave --keras out for other formats.`,
        "format",
      );
    }
    chooseEngine(values);
    const before = await readCheckpoint(source, withoutUndefined({ arch: values.arch }));
    const warnings = target.endsWith(".keras")
      ? writingWarnings(before, "keras", values.keras ? "early" : "current")
      : [];
    for (const warning of warnings) terminal.notice(`warning: ${warning}`);
    await writeCheckpoint(
      target,
      values.keras ? forEarlyKeras3(before) : before,
      withoutUndefined({ maxShardBytes: values["max-shard-size"] }),
    );
    const weightsOnly = /\.weights\.(h5|json)$/i.test(target);
    const parity = weightsOnly ? "a file of weights alone does not predict" : await parityOf(before, target);
    if (values.json) terminal.document({ out: target, parity: typeof parity === "string" ? null : parity });
    terminal.print(`${source} -> ${target}`);
    terminal.print(parityLine(parity));
  },
};

async function parityOf(before: Checkpoint, target: string): Promise<Parity | string> {
  const inputs = probe(before);
  if (!inputs) return "its inputs have no shape to probe";
  try {
    const expected = await predict<InputTensor>(before, inputs);
    const got = await predict<InputTensor>(await readCheckpoint(target), inputs);
    return difference(expected, got);
  } catch (error) {
    if (error instanceof TopologyError) return error.message;
    throw error;
  }
}

function parityLine(parity: Parity | string): string {
  if (typeof parity === "string") return `parity    not checked: ${parity}`;
  const { samples, maxDifference, maxOutput } = parity;
  const text = maxDifference === 0 ? "0" : maxDifference.toExponential(1);
  return `parity    largest difference ${text} between the predictions of both files on ${samples} probes (largest output ${maxOutput.toPrecision(3)})`;
}

/** Two samples of values between -1 and 1, or of words that the model knows, the same at each run; free dimensions are 64. */
function probe(checkpoint: Checkpoint): InputTensor[] | null {
  const graph = layerGraph(checkpoint);
  const inputs = graph.inputs.map(({ ref }) => graph.nodes[ref.node]!.outputs[ref.output]!);
  if (inputs.some(({ shape }) => shape === null)) return null;
  const words = graph.layers.flatMap(({ config }) => config["vocabulary"] ?? []).map(String);
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const wordAt = (): string => words[Math.floor(((next() + 1) / 2) * words.length)] ?? "";
  return inputs.map(({ shape, dtype }) => {
    const free = dtype === "string" ? 1 : 64;
    const known = [2, ...shape!.slice(1).map((size) => size ?? free)];
    const count = known.reduce((product, size) => product * size, 1);
    if (dtype !== "string")
      return { dtype: "float32", shape: known, data: new Float32Array(count).map(next) };
    const texts = Array.from({ length: count }, (_, index) =>
      Array.from({ length: 1 + 7 * (index % 2) }, wordAt).join(" "),
    );
    return { dtype, shape: known, data: texts };
  });
}

/** Texts are apart by 1 where they are not the same. */
function difference(expected: readonly InputTensor[], got: readonly InputTensor[]): Parity {
  let maxDifference = 0;
  let maxOutput = 0;
  expected.forEach(({ data }, output) => {
    data.forEach((value: string | number | bigint, index: number) => {
      const other = got[output]?.data[index];
      if (typeof value === "string") {
        if (value !== other) maxDifference = 1;
        return;
      }
      const gap = Math.abs(Number(value) - Number(other ?? Number.NaN));
      if (!(gap <= maxDifference)) maxDifference = gap;
      maxOutput = Math.max(maxOutput, Math.abs(Number(value)));
    });
  });
  return { samples: expected[0]?.shape[0] ?? 0, maxDifference, maxOutput };
}
