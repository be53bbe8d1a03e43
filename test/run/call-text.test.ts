import { expect, test } from "vitest";
import { flagSpelling } from "../../src/cli/commands.ts";
import { spellOptions } from "../../src/cli-api.ts";
import { freezeAllButHead, freezeUntil } from "../../src/freeze/policy.ts";
import { callText } from "../../src/run/call-text.ts";
import type { FinetuneOptions } from "../../src/run/options.ts";

const options: FinetuneOptions = {
  model: "my nets/a.keras",
  data: "t.csv",
  targets: ["width", "depth"],
  imageSize: [64, 96],
  lossWeights: { kind: 1, age: 0.5 },
  cache: false,
  overwrite: true,
  phases: [
    { freeze: freezeAllButHead(), epochs: 1 },
    { freeze: freezeUntil("conv4"), epochs: 2, learningRate: 1e-4 },
  ],
};

test("a call in code is repeated as code", () => {
  expect(callText({ model: "a.h5", data: "photos", targets: ["width"], freeze: freezeUntil("conv4") })).toBe(
    'finetune({ model: "a.h5", data: "photos", targets: ["width"], freeze: [freezeUntil("conv4")] })',
  );
});

test("a call on the command line is repeated with flags that it reads", () => {
  spellOptions(flagSpelling);
  try {
    expect(callText(options)).toBe(
      "finetune --model 'my nets/a.keras' --data t.csv --targets width,depth --image-size 64x96 --loss-weights kind=1,age=0.5 --no-cache --phase 'head epochs=1' --phase 'conv4 epochs=2 lr=0.0001'",
    );
  } finally {
    spellOptions();
  }
});
