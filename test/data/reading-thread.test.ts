import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import type * as Images from "../../src/data/images.ts";
import type * as Threads from "../../src/data/reading-thread.ts";
import type * as Batches from "../../src/data/sample-batches.ts";
import { folderWith } from "./answers.ts";

const built = <Module>(name: string): Promise<Module> =>
  import(new URL(`../../dist/data/${name}.js`, import.meta.url).href);
// Node runs a thread of what is built alone.
const { imageReader } = await built<typeof Images>("images");
const { sampleBatches } = await built<typeof Batches>("sample-batches");
const { readingThread } = await built<typeof Threads>("reading-thread");

const options = { imageSize: [7, 5], preprocess: "caffe" } as const;
let samples: readonly Batches.SampleView[];

beforeAll(async () => {
  const noise = { mean: 128, sigma: 60, type: "gaussian" } as const;
  const image = (width: number) =>
    sharp({ create: { width, height: 30, channels: 3, background: "#888", noise } })
      .jpeg()
      .toBuffer();
  const folder = await folderWith({
    "a.jpg": await image(40),
    "b.jpg": await image(61),
    "broken.jpg": "this is no image",
  });
  const names = ["a.jpg", "b.jpg", "a.jpg", "broken.jpg", "absent.jpg"];
  samples = Array.from({ length: 40 }, () => names.map((name) => ({ path: join(folder, name) }))).flat();
});

/** Reads all samples in batches that are given back. Only the first images are read here soon, so that a thread comes to read the rest. */
async function readAll(
  asked: readonly Batches.SampleView[],
  batches: Partial<Batches.BatchOptions> = {},
  isSlow = () => asked === samples,
) {
  const reader = imageReader(options);
  const { load } = reader;
  let readHere = 0;
  reader.load = async (path) => {
    readHere++;
    if (readHere > 20 && isSlow()) await wait(100);
    return load(path);
  };
  const outcomes: Batches.SampleOutcome[] = [];
  const pixels: number[][] = [];
  const facts: unknown[] = [];
  const onSample = (outcome: Batches.SampleOutcome) => void outcomes.push(outcome);
  for await (const batch of sampleBatches(asked, reader, { batchSize: 8, onSample, ...batches })) {
    const { input, indices, contentHashes, release } = batch;
    pixels.push(Array.from(input.data as Float32Array));
    facts.push([input.shape, indices.map((index) => asked[index]?.path), contentHashes]);
    release();
  }
  return { readHere, outcomes, pixels, facts };
}

describe("images that a thread reads", () => {
  test("are those that are read here, in their order, with the files that cannot be used", async () => {
    const apart = await readAll(samples);
    expect(apart.readHere).toBeLessThan(samples.length);
    expect(apart.outcomes.filter(({ reason }) => reason !== undefined)).toHaveLength(80);
    // The first 75 files are too few for a thread; they repeat after five.
    const here = await readAll(samples.slice(0, 75));
    expect(here.readHere).toBe(75);
    expect(apart.outcomes.slice(0, 75)).toEqual(here.outcomes);
    const whole = here.pixels.length - 1;
    expect(apart.pixels.slice(0, whole)).toEqual(here.pixels.slice(0, whole));
    expect(apart.facts.slice(0, whole)).toEqual(here.facts.slice(0, whole));
    expect(apart.pixels.slice(9, 12)).toEqual(apart.pixels.slice(0, 3));
  });

  test("are refused as they are here", async () => {
    const usable = samples.filter(({ path }) => path.endsWith("b.jpg") || path.endsWith("a.jpg"));
    const broken = samples.slice(3, 4);
    await expect(readAll([...usable, ...broken], { strict: true })).rejects.toThrow(
      /broken\.jpg: not an image/,
    );
  });

  test("are read here where the thread ends in between, those that it was asked for too", async () => {
    const { prototype } = Worker;
    const { postMessage } = prototype;
    let requests = 0;
    // No request comes to it, so that none is answered before it ends.
    prototype.postMessage = function (this: Worker) {
      if (++requests === 1) setTimeout(() => void this.terminate(), 200);
    };
    let apart: Awaited<ReturnType<typeof readAll>>;
    try {
      apart = await readAll(samples, {}, () => requests === 0);
    } finally {
      prototype.postMessage = postMessage;
    }
    expect(requests).toBeGreaterThan(0);
    expect(apart.outcomes).toHaveLength(samples.length);
    expect(apart.facts.at(-1)).toEqual((await readAll(samples, {}, () => false)).facts.at(-1));
  });

  test("are none of a reader that is made of one of images, and not of few", () => {
    const reader = imageReader(options);
    const thread = readingThread(reader, samples);
    expect(thread).not.toBeNull();
    thread?.close();
    expect(readingThread({ ...reader }, samples)).toBeNull();
    expect(readingThread(reader, samples.slice(0, 50))).toBeNull();
    expect(
      readingThread(
        reader,
        samples.map(() => ({ path: "s3://bucket/a.jpg" })),
      ),
    ).toBeNull();
  });
});
