/** Public situations from data on disk through the command line, with the figures of real Keras: fixtures/make/public_situations.py. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "fast-png";
import { beforeAll, describe, expect, test } from "vitest";
import {
  loadImages,
  predict,
  readCheckpoint,
  replaceHead,
  taskOf,
  writeCheckpoint,
} from "../../src/index.ts";
import type { Figures, PublicSituation, SituationFiles } from "../task/public-situations.ts";
import { differences, publicSituations, writeSituation } from "../task/public-situations.ts";
import { lastingScratch, runCli, scratch } from "./run-cli.ts";

const onDisk = publicSituations.filter(({ photos, table }) => photos !== null || table !== null);

function flagsOf({ says }: PublicSituation, { photos, masks, table }: SituationFiles): string[] {
  const { x, targets, sampleWeight, split, loss, metrics, preprocess } = says;
  const named = Object.entries({
    data: table ?? photos,
    masks,
    ...{ x: x?.join(), targets: targets?.join(), "sample-weight": sampleWeight },
    ...{ split, loss, metrics: metrics?.join(), preprocess },
  });
  return named.flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [`--${name}`, value],
  );
}

async function documentOf(args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await runCli([...args, "--json"]);
  expect([code, stderr.match(/^\s+at /m)], stderr).toEqual([0, null]);
  return JSON.parse(stdout);
}

function situationNamed(name: string): PublicSituation {
  const found = publicSituations.find((each) => each.name === name);
  if (!found) throw new Error(name);
  return found;
}

describe.each(onDisk)("$name", (situation) => {
  test("evaluate prints Keras's figures", async () => {
    const files = await writeSituation(situation, scratch());
    const { loss, metrics } = (await documentOf(["evaluate", files.model, ...flagsOf(situation, files)])) as {
      loss: number;
      metrics: Figures;
    };
    expect(differences({ loss, ...metrics }, situation.answer as Figures)).toEqual([]);
  });
});

describe("two folders of images and the transfer guide's logit", () => {
  const situation = situationNamed("the transfer guide: Dense(1) logits, two class folders");
  let files: SituationFiles;
  let folder: string;
  beforeAll(async () => {
    folder = lastingScratch();
    files = await writeSituation(situation, folder);
  });

  test.each([[], ["--keep-head"]])("are trained with the head that the file has %s", async (...flags) => {
    const out = join(folder, `run${flags.length}`);
    await documentOf([
      ...["--model", files.model, "--data", files.photos ?? "", "--epochs", "1", "--out", out],
      ...flags.filter((flag) => flag !== undefined),
    ]);
    const tuned = await readCheckpoint(join(out, "model.keras"));
    expect(taskOf(tuned).outputs[0]).toMatchObject({
      units: 1,
      activation: "linear",
      labels: ["cats", "dogs"],
    });
    expect(tuned.trainingConfig?.["loss"]).toMatchObject({
      class_name: "BinaryCrossentropy",
      config: { from_logits: true },
    });
    const [prediction] = (await documentOf(["predict", out, files.photos ?? ""])) as {
      predictions: { label: string; probability: number }[];
    }[];
    const [first, second] = prediction?.predictions ?? [];
    expect([first?.label, second?.label].sort()).toEqual(["cats", "dogs"]);
    expect((first?.probability ?? 0) + (second?.probability ?? 0)).toBeCloseTo(1, 6);
  });
});

test("a regression of images predicts values, trains and is evaluated on its numbers", async () => {
  const situation = situationNamed("Dense(1) regression of images compiled with mse");
  const folder = scratch();
  const files = await writeSituation(situation, folder);
  const [said] = (await documentOf(["predict", files.model, join(files.photos ?? "", "cats", "0.png")])) as {
    values: Record<string, number>;
  }[];
  const [value] = Object.values(said?.values ?? {});
  const { code, stdout } = await runCli(["predict", files.model, join(files.photos ?? "", "cats", "0.png")]);
  expect([code, stdout.split("\n")[1]?.trim().split(/\s+/)[1]]).toEqual([
    0,
    String(Number(value?.toPrecision(6))),
  ]);
  const out = join(folder, "run");
  await documentOf(["--model", files.model, ...flagsOf(situation, files), "--epochs", "1", "--out", out]);
  const tuned = await readCheckpoint(join(out, "model.keras"));
  expect(taskOf(tuned).outputs[0]).toMatchObject({ kind: "values", units: 1, activation: "linear" });
});

describe("a model that predicts masks", () => {
  const situation = situationNamed("255 as void beside class indices");

  test("writes them as PNG of class indices, at the probability that is asked for", async () => {
    const folder = scratch();
    const files = await writeSituation(situation, folder);
    const out = join(folder, "predicted");
    const said = (await documentOf(["predict", files.model, files.photos ?? "", "--out", out])) as {
      path: string;
      masks: Record<string, string>;
    }[];
    const plain = (await documentOf(["predict", files.model, files.photos ?? ""])) as {
      masks: Record<string, { shape: number[]; data: number[] }>;
    }[];
    expect(said.map(({ masks }) => masks["mask"])).toEqual(
      ["0", "1", "2", "3"].map((name) => join(out, `${name}.png`)),
    );
    for (const [index, { masks }] of said.entries()) {
      const image = decode(readFileSync(masks["mask"] ?? ""));
      expect(image.palette?.slice(0, 3)).toEqual([
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
      ]);
      expect(plain[index]?.masks["mask"]).toEqual({
        shape: [image.height, image.width],
        data: Array.from(image.data),
      });
    }
    const again = await runCli(["predict", files.model, files.photos ?? "", "--out", out]);
    expect([again.code, again.stderr]).toEqual([
      2,
      expect.stringMatching(/predicted: expected a new or empty folder, got one that holds 4 files/),
    ]);
  });

  test("writes one for each of several labels that a pixel may have at once", async () => {
    const folder = scratch();
    const files = await writeSituation(situation, folder);
    const several = replaceHead(await readCheckpoint(files.model), { units: 2, activation: "sigmoid" });
    const path = join(folder, "several.keras");
    await writeCheckpoint(path, several);
    const image = join(files.photos ?? "", "0.png");
    const out = join(folder, "labels");
    const [said] = (await documentOf(["predict", path, image, "--out", out])) as {
      masks: Record<string, string>;
    }[];
    expect(said?.masks).toEqual({
      "mask/0": join(out, "mask_0", "0.png"),
      "mask/1": join(out, "mask_1", "0.png"),
    });
    const input = await loadImages([image], { imageSize: 16, preprocess: "none" });
    const [scores] = await predict(several, input);
    for (const label of [0, 1]) {
      const mask = decode(readFileSync(join(out, `mask_${label}`, "0.png")));
      expect(Array.from(mask.data)).toEqual(
        Array.from({ length: 256 }, (_, at) => (Number(scores?.data[2 * at + label]) > 0.5 ? 1 : 0)),
      );
    }
  });

  test("says foreground over the threshold", async () => {
    const binary = situationNamed("masks of 0 and 255 as files");
    const files = await writeSituation(binary, scratch());
    const foreground = async (threshold: string): Promise<number> => {
      const said = (await documentOf([
        "predict",
        files.model,
        files.photos ?? "",
        "--threshold",
        threshold,
      ])) as {
        masks: Record<string, { data: number[] }>;
      }[];
      return said.flatMap(({ masks }) => masks["mask"]?.data ?? []).filter((value) => value === 1).length;
    };
    const counts = [await foreground("0.0001"), await foreground("0.5"), await foreground("0.9999")];
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
    expect(new Set(counts).size).toBeGreaterThan(1);
  });
});
