/** Reports made of drawn numbers, for tests of the page. */
import type { OutputReport, RunReport } from "../../src/report/run-report.ts";
import { classesReport } from "../../src/report/scored-samples.ts";

function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const labels = ["ants", "bees", "<script>alert(1)</script>"];

/** A single-label output with 200 samples. */
export function classesOutput(): OutputReport {
  const random = uniform(1);
  const truth = Int32Array.from({ length: 200 }, () => Math.floor(random() * 3));
  const scores = new Float32Array(600);
  for (const [row, label] of truth.entries()) {
    const raw = labels.map((_, index) => Math.exp(3 * random() + (index === label ? 2 : 0)));
    const total = raw.reduce((sum, value) => sum + value, 0);
    scores.set(
      raw.map((value) => value / total),
      row * 3,
    );
  }
  const names = Array.from(truth, (_, row) => `val/${row} & "more".jpg`);
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [row, label] of truth.entries()) {
    const own = scores.subarray(row * 3, row * 3 + 3);
    const predicted = own.indexOf(Math.max(...own));
    const counts = confusion[label];
    if (counts) counts[predicted] = (counts[predicted] ?? 0) + 1;
  }
  return {
    name: "predictions",
    kind: "classes",
    perPosition: false,
    labels,
    samples: 200,
    confusion,
    perClass: labels.map((label) => ({ label, precision: 0.9, recall: 0.8, f1: 0.847, support: 66 })),
    ...classesReport({ labels, scores, truth, names }),
  };
}

export function sampleReport(outputs: readonly OutputReport[]): RunReport {
  return {
    version: 1,
    title: "EfficientNet-Lite0 on hymenoptera",
    command: "finetune --model efficientnet_lite0.keras --data photos --freeze-until block7",
    finished: "2026-11-29T12:00:00Z",
    facts: [
      ["model", "efficientnet_lite0.keras"],
      ["engine", "wasm"],
    ],
    settings: { epochs: 6, batchSize: 32 },
    history: Array.from({ length: 6 }, (_, index) => ({
      epoch: index + 1,
      phase: index < 3 ? 1 : 2,
      loss: 1 / (index + 1),
      accuracy: 0.6 + index * 0.06,
      val_loss: 1.1 / (index + 1) + 0.05,
      val_accuracy: 0.58 + index * 0.06,
      lr: index < 3 ? 1e-3 : 1e-4,
      seconds: 0.8,
    })),
    bestEpoch: 6,
    phases: [
      { name: "head", from: 1, to: 3, frozenWeights: 233, unchanged: true },
      { name: "block7", from: 4, to: 6, frozenWeights: 210, unchanged: true },
    ],
    splits: [{ split: "validation", samples: 200, figures: { loss: 0.23, accuracy: 0.88 }, outputs }],
    layers: Array.from({ length: 60 }, (_, index) => ({
      path: `block${Math.floor(index / 10)}_layer${index}`,
      className: index % 3 === 0 ? "Conv2D" : "ReLU",
      stage: `block${Math.floor(index / 10)}`,
      parameters: index % 3 === 0 ? 1000 * (index + 1) : 0,
      trainable: index >= 50 && index % 3 === 0,
      side: index >= 50 ? "dynamic" : "static",
    })),
    cost: [{ what: "epoch", predicted: "0.7 s", measured: "0.8 s" }],
    warnings: ["The cut lies inside a residual block."],
    bad: [{ path: "train/bees/broken.jpg", reason: "unexpected end of file" }],
  };
}
