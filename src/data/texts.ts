import { createHash } from "node:crypto";
import { TopologyError } from "../errors.ts";
import type { StringTensor } from "../tensor.ts";
import { formatShape } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { readFileBytes } from "./file-bytes.ts";
import { textFiles } from "./file-kind.ts";
import { sniffFormat } from "./image-format.ts";
import type { BadFile, LoadedSample, SampleReader } from "./sample-reader.ts";

const maxFileBytes = 64 * 1024 * 1024;

/** Returns a reader of texts as they stand in their files, `[N, …sampleShape]`. @param sampleShape `[]` or `[1]` */
export function textReader(sampleShape: readonly number[]): SampleReader<string, StringTensor> {
  return {
    kind: textFiles,
    sampleShape,
    identity: async () => ({ encoding: "utf-8", sampleShape: [...sampleShape] }),
    load: readText,
    open: () => {
      const texts: string[] = [];
      return {
        set: (row, text) => {
          texts[row] = text;
        },
        finish: (count) => ({ dtype: "string", shape: [count, ...sampleShape], data: texts }),
      };
    },
  };
}

/** Reads a text. A byte order mark stays, as in Keras, where it is part of the first word. */
async function readText(path: string): Promise<LoadedSample<string> | BadFile> {
  const bytes = await readFileBytes(path, maxFileBytes);
  if (typeof bytes === "string") return { path, reason: bytes };
  if (bytes.length === 0) return { path, reason: "the file is empty." };
  try {
    const value = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const contentHash = createHash("sha256").update(bytes).digest("hex");
    return { value, contentHash, rotated: false, mislabelled: false };
  } catch {
    return { path, reason: notUtf8(bytes) };
  }
}

function notUtf8(bytes: Buffer): string {
  const image = sniffFormat(bytes);
  if (image) return `not a text: expected UTF-8, got a ${image.toUpperCase()} image.`;
  const wide = /^(\xff\xfe|\xfe\xff)/.test(bytes.subarray(0, 2).toString("latin1"));
  return `not a text in UTF-8: got ${wide ? "UTF-16" : "other bytes"}. Save it as UTF-8.`;
}

/** Returns whether the model's only input is texts: then each file of its data is one text. */
export function takesTexts(graph: LayerGraph): boolean {
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0) return false;
  return graph.nodes[input.ref.node]!.outputs[input.ref.output]!.dtype === "string";
}

/**
 * Returns the shape of one text in the input of a model that takes texts: `[1]`, or `[]` where a text has no axis of its own.
 *
 * @throws {TopologyError} if a sample is several texts.
 */
export function textShapeOf(graph: LayerGraph): readonly number[] {
  const [{ name, ref }] = graph.inputs as readonly [LayerGraph["inputs"][number]];
  const shape = graph.nodes[ref.node]!.outputs[ref.output]!.shape ?? [null];
  const [, width = 1, ...rest] = shape;
  if (rest.length === 0 && (width ?? 1) === 1) return shape.slice(1).map(() => 1);
  throw new TopologyError(
    `${name}: expected one text per sample, [None] or [None,1], got ${formatShape(shape)}. Train it on arrays.`,
    "not-a-text-model",
  );
}
