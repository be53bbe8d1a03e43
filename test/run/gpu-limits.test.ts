import { describe, expect, it } from "vitest";
import type { EngineInfo } from "../../src/engine/engine-info.ts";
import { cutModel } from "../../src/features/cut.ts";
import { extractionBatchWithin } from "../../src/features/extraction-batch.ts";
import { layerGraph } from "../../src/index.ts";
import { rowsInBuffers } from "../../src/inference/batch-size.ts";
import { requireTensorsFit } from "../../src/run/gpu-limits.ts";
import { concreteShapes } from "../../src/topology/concrete-shapes.ts";
import { wideNetwork } from "./wide-network.ts";

const gpu: EngineInfo = {
  ...{ name: "webgpu", tfjs: "4.22.0", adapter: "some GPU", driver: "1", path: "", threads: 1 },
  ...{ precision: "float32", reason: "asked for", rejected: [] },
};
const graph = layerGraph(wideNetwork({ side: 96, channels: 1, filters: 16, classes: 3 }));
const frozen = (paths: readonly string[]) =>
  cutModel(graph, { frozen: new Set(paths), bnMode: "inference", newLayers: new Set() });
const [first = ""] = graph.layers.filter(({ className }) => className === "Conv2D").map(({ path }) => path);
/** The output of the first convolution for one sample. */
const outputBytes = 4 * 96 * 96 * 16;

describe("a tensor that is larger than a buffer of the GPU", () => {
  it("is refused by its layer before the run, with the batch that it is of", () => {
    const rows = { extraction: 1, step: 8 };
    const engine = { ...gpu, largestTensor: 8 * outputBytes - 1 };
    expect(() => requireTensorsFit(engine, [frozen([])], rows)).toThrow(
      /: output of 8 samples: expected at most 4.7 MB, which one buffer of this GPU holds, got 4.7 MB. Lower batchSize/,
    );
    expect(() => requireTensorsFit(engine, [frozen([])], { ...rows, step: 7 })).not.toThrow();
    expect(() => requireTensorsFit(gpu, [frozen([])], { ...rows, step: 1e6 })).not.toThrow();
  });

  it("is named with its weight where it is one", () => {
    const engine = { ...gpu, largestTensor: 100 };
    expect(() => requireTensorsFit(engine, [frozen([])], { extraction: 0, step: 0 })).toThrow(
      /^\w+\/kernel: expected at most 100 B, .* Use another engine\.$/,
    );
  });

  it("makes the batches of an extraction smaller", () => {
    const cut = frozen([first]);
    expect(extractionBatchWithin(null, gpu, cut)).toBe(32);
    expect(extractionBatchWithin(null, { ...gpu, largestTensor: 9 * outputBytes }, cut)).toBe(8);
  });

  it("makes the batches of predict and evaluate smaller, and is refused there where one sample is too large", () => {
    const shapes = concreteShapes(graph);
    expect(rowsInBuffers(graph, shapes, 32, 9 * outputBytes)).toBe(8);
    expect(() => rowsInBuffers(graph, shapes, 32, outputBytes - 1)).toThrow(
      /: output of 1 sample: expected at most .*, which one buffer of this GPU holds, got .* Use another engine, or smaller images\.$/,
    );
  });
});
