import { describe, expect, test } from "vitest";
import type { Checkpoint, FreezePolicy, LayerReason, WhyOptions } from "../../src/index.ts";
import {
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  planFinetune,
  readCheckpoint,
  unfreeze,
  whyLayer,
} from "../../src/index.ts";
import { runCli } from "../cli/run-cli.ts";

const model = "fixtures/cli/small_resnet.keras";
const resnet = await readCheckpoint(model);
const nested = await readCheckpoint("fixtures/models/k3-nested-frozen.keras");

function only(checkpoint: Checkpoint, name: string, options: WhyOptions = {}): LayerReason {
  const reasons = whyLayer(checkpoint, name, options);
  expect(reasons.map(({ path }) => path)).toHaveLength(1);
  return reasons[0] as LayerReason;
}

describe("whyLayer", () => {
  const policies: readonly (readonly FreezePolicy[])[] = [
    [freezeUntil("conv3")],
    [freezeThrough("conv2")],
    [freezeAllButHead()],
    [freezeDepth(-5)],
    [freezeAllButHead(), unfreeze("conv2")],
    [freezeUntil("conv2"), freeze("*_bn")],
    [],
  ];
  test.each(
    policies.flatMap((own) =>
      (["inference", "follow", "freeze", "train"] as const).map((bnMode) => ({ own, bnMode })),
    ),
  )("says of every layer what the plan says: $bnMode, $own", ({ own, bnMode }) => {
    const options = { freeze: own, bnMode };
    const plan = planFinetune(resnet, options);
    const reasons = whyLayer(resnet, "*", options);
    expect(reasons.map(({ path }) => path)).toEqual(plan.layers.map(({ path }) => path));
    const tensors = plan.frontier.map(({ tensor }) => tensor);
    for (const [index, reason] of reasons.entries()) {
      const planned = plan.layers[index];
      expect([reason.path, reason.trains.length > 0]).toEqual([planned?.path, planned?.trainable]);
      expect(reason.side).toBe(planned?.side);
      expect(reason.rules.at(-1)?.freezes).toBe(reason.frozen);
      expect(reason.normalization?.statistics ?? null).toBe(
        planned?.bn === "inference" ? "stored" : (planned?.bn ?? null),
      );
      expect(reason.isFrontier).toBe(tensors.includes(reason.path));
      expect(tensors).toEqual(expect.arrayContaining([...reason.frontier]));
      expect(reason.frontier.length > 0).toBe(reason.side === "dynamic");
      expect(reason.inference === null).toBe(reason.side === "dynamic");
      if (reason.gradient.passes) expect(reason.side).toBe("dynamic");
    }
    const first = reasons.find(({ trains }) => trains.length > 0);
    expect(first?.gradient).toEqual({ passes: false, neededBy: [] });
    const last = reasons.findLast(({ trains }) => trains.length > 0);
    const trained = reasons.filter(({ trains, path }) => trains.length > 0 && path !== last?.path);
    expect([...(last?.gradient.neededBy ?? [])].sort()).toEqual(trained.map(({ path }) => path).sort());
  });

  test("a static BatchNormalization is folded into its convolution, an activation too, a trained one into none", () => {
    const options = { freeze: freezeUntil("conv3") };
    expect(only(resnet, "conv2_block1_1_bn", options).inference).toEqual({
      kind: "folded",
      into: "conv2_block1_1_conv",
    });
    expect(only(resnet, "conv2_block1_1_conv", options).inference).toEqual({ kind: "runs", changed: true });
    expect(only(resnet, "conv3_block1_1_bn", options).inference).toBeNull();
  });

  test("the rules stand in the order of their application, with what made them apply", () => {
    const rules = only(resnet, "conv3_block1_1_bn", {
      freeze: [unfreeze("conv3"), freeze("*_bn"), freezeUntil("conv2")],
      bnMode: "freeze",
    }).rules;
    expect(rules.map(({ kind, text, freezes }) => [kind, text, freezes])).toEqual([
      ["position", 'freezeUntil("conv2")', false],
      ["freeze", 'freeze("*_bn")', true],
      ["unfreeze", 'unfreeze("conv3")', false],
      ["bn-mode", 'bnMode: "freeze"', true],
    ]);
    expect(rules.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(
        /^it is layer #\d+, from conv2_block1_1_conv \(#\d+\) on, which "conv2" set by the beginning of names$/,
      ),
      "the pattern matches a glob",
      "the pattern matches the beginning of names",
      "the mode decides for every pretrained layer with moving statistics, as this BatchNormalization",
    ]);
  });

  test("a layer in a nested model may be frozen by the model's name, or by its flag in the file", () => {
    const [container] = planFinetune(nested, { freeze: [] }).layers.flatMap(({ path }) =>
      path.includes("/") ? [path.slice(0, path.lastIndexOf("/"))] : [],
    );
    const inner = whyLayer(nested, `${container}/*`, { freeze: freeze(String(container)) })[0];
    expect(inner?.rules.at(-1)?.detail).toBe(`the pattern is the name of ${container}, which contains it`);
    const [flagged] = whyLayer(nested, `${container}/*`);
    expect([flagged?.frozen, flagged?.rules.at(-1)?.detail]).toEqual([
      true,
      `trainable is false for ${container}, which contains it`,
    ]);
  });

  test("a name that matches nothing is refused with the nearest", () => {
    expect(() => whyLayer(resnet, "conv2_block1_1_con")).toThrow(
      /^conv2_block1_1_con: no layer matches\. Did you mean conv2_block1_1_conv/,
    );
  });
});

describe("finetune why", () => {
  test("prints each fact of one layer, the flags as they are written", async () => {
    const flags = ["--model", model, "--freeze-until", "conv3"];
    const { code, stdout } = await runCli(["why", "conv2_block1_1_bn", ...flags]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^layer {5}conv2_block1_1_bn {2}\(BatchNormalization, stage conv2, \d+ parameters\)$/m,
    );
    expect(stdout).toMatch(
      /^frozen {4}--freeze-until "conv3": it is layer #\d+, before conv3_block1_1_conv/m,
    );
    expect(stdout).toMatch(/^runs {6}once per sample, .*; folded into conv2_block1_1_conv$/m);
    expect(stdout).toMatch(/^gradient {2}none: /m);
    expect(stdout).toMatch(/^BN {8}inference: normalizes with the stored statistics, which stay$/m);
  });

  test("prints a table of several, --json their values, and refuses a name without a match with 2", async () => {
    const flags = ["--model", model, "--freeze-until", "conv3"];
    const table = (await runCli(["why", "*_bn", ...flags])).stdout.trimEnd().split("\n");
    const reasons = whyLayer(resnet, "*_bn", { freeze: freezeUntil("conv3") });
    expect(table).toHaveLength(1 + reasons.length);
    const { stdout } = await runCli(["why", "*_bn", ...flags, "--json"]);
    const printed = JSON.parse(stdout) as readonly LayerReason[];
    expect(printed.map(({ path, trains, gradient }) => [path, trains, gradient])).toEqual(
      reasons.map(({ path, trains, gradient }) => [path, trains, gradient]),
    );
    const refused = await runCli(["why", "conv7", ...flags]);
    expect([refused.code, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toMatch(/^conv7: no layer matches\./);
  });
});
