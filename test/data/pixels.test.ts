import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, PreprocessMode } from "../../src/checkpoint.ts";
import { imageFolder } from "../../src/data/class-folders.ts";
import { detectPreprocess, preparedTwice } from "../../src/data/input-images.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { answers, folderWith } from "./answers.ts";

/** What fixtures/make/pixels.py recorded of one model. */
interface PixelAnswer {
  readonly file: string;
  readonly suffix: string;
  readonly mode: PreprocessMode | "auto";
  readonly found: "layer" | "unknown";
  readonly loss: number;
  readonly accuracy: number;
}

interface PixelAnswers {
  readonly images: Readonly<Record<string, string>>;
  readonly models: Readonly<Record<string, PixelAnswer>>;
  /** The model whose file is the dictionary of the others' compression. */
  readonly first: string;
}

describe.each(["3", "2.15"])("images for models of Keras %s", async (version) => {
  const { images, models, first } = await answers<PixelAnswers>(`pixels-${version}.json.gz`);
  const dictionary = inflateSync(Buffer.from(models[first]?.file ?? "", "base64")).subarray(-32768);
  let folder: string;
  let photos: string;
  beforeAll(async () => {
    folder = await folderWith();
    photos = await folderWith(
      Object.fromEntries(Object.entries(images).map(([path, bytes]) => [path, Buffer.from(bytes, "base64")])),
    );
  });

  const open = async (name: string, { file, suffix }: PixelAnswer): Promise<Checkpoint> => {
    const packed = Buffer.from(file, "base64");
    const path = join(folder, `model${suffix}`);
    await writeFile(path, inflateSync(packed, name === first ? {} : { dictionary }));
    return readCheckpoint(path);
  };

  test.each(Object.entries(models))("%s: evaluated as Keras does on its arrays", async (name, answer) => {
    const checkpoint = await open(name, answer);
    const detected = detectPreprocess(layerGraph(checkpoint), checkpoint.notes);
    expect(detected.source).toBe(answer.found);
    expect(detected.warning !== undefined).toBe(answer.found === "unknown");
    const dataset = await imageFolder(photos, { validationFraction: 0 });
    const { loss, metrics, accuracy } = (await evaluate(checkpoint, dataset, {
      preprocess: answer.mode,
    })) as {
      loss: number;
      metrics?: Readonly<Record<string, number>>;
      accuracy?: number;
    };
    expect(Math.abs(loss - answer.loss) / Math.max(1, answer.loss)).toBeLessThan(2e-5);
    expect(metrics?.["accuracy"] ?? accuracy).toBeCloseTo(answer.accuracy, 6);
  });

  test("a mode beside layers that scale pixels is warned of, and none and auto are not", async () => {
    const name = "Rescaling in a nested model in front";
    const answer = models[name];
    if (!answer) throw new Error(name);
    const checkpoint = await open(name, answer);
    const graph = layerGraph(checkpoint);
    expect(preparedTwice(graph, "unit")).toMatch(
      /^preprocess: "unit": front\/rescaling\w* in the model prepares pixels too/,
    );
    expect(preparedTwice(graph, "none")).toBeUndefined();
    const warnings: string[] = [];
    const dataset = await imageFolder(photos, { validationFraction: 0 });
    await evaluate(checkpoint, dataset, { preprocess: "tf", onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringMatching(/prepared twice/)]);
  });
});
