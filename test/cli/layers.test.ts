/** `--layers`: custom layers from a module, on the command line. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { fixture, lastingScratch, runCli, scratch } from "./run-cli.ts";

const model = fixture("custom", "k3-images.keras");

/** A module that exports the layers of the model, without importing anything. One process may load it many times. */
const layerModule = join(lastingScratch(), "layers.mjs");

beforeAll(() => {
  writeFileSync(
    layerModule,
    `export const scale = {
  className: "Pets>Scale",
  spec: {
    weights: ({ inputs: [x] }) => [
      { name: "factor", shape: [x.at(-1)] },
      { name: "offset", shape: [x.at(-1)], trainable: false },
    ],
  },
  kernel: ({ inputs: [x], weights, ops }) => ops.add(ops.mul(x, weights.factor), weights.offset),
};
export default [
  {
    className: "ConvBlock",
    spec: {
      layers: ({ config: { filters }, inputs: [x] }) => ({
        conv: {
          className: "Conv2D",
          config: { filters, kernel_size: 3, padding: "same", use_bias: false },
          inputs: [x],
        },
        norm: { className: "BatchNormalization", config: { momentum: 0.9 }, inputs: [[...x.slice(0, -1), filters]] },
      }),
      outputShape: ({ config: { filters }, inputs: [x] }) => [...x.slice(0, -1), filters],
    },
    kernel: ({ inputs: [x], layers, ops }) => ops.relu(layers.norm(layers.conv(x))),
  },
];
`,
  );
});

const photos = fixture("demo", "photos", "val", "brick");

test("predict names the layer and the flag without it, and predicts with it", async () => {
  const refused = await runCli(["predict", model, photos]);
  expect([refused.code, refused.stdout]).toEqual([1, ""]);
  expect(refused.stderr).toContain("block (Pets>ConvBlock): a custom class");
  expect(refused.stderr).toContain("--layers FILE");
  const { code, stdout } = await runCli(["predict", model, photos, "--layers", layerModule, "--json"]);
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as unknown[]).length).toBeGreaterThan(0);
});

test("a run trains with it and leaves a model of the same classes, and a config file may name it", async () => {
  const folder = scratch();
  const config = join(folder, "run.yaml");
  writeFileSync(config, `layers: ${layerModule}\nepochs: 1\nfreeze-until: scale\n`);
  const out = join(folder, "run");
  const data = fixture("demo", "photos");
  const { code, stderr } = await runCli(["--model", model, "--data", data, "--out", out, "--config", config]);
  expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
  const written = readFileSync(join(out, "model.keras")).toString("latin1");
  expect(written).toContain('"registered_name": "Pets>ConvBlock"');
});

test("a module that is not there, cannot be loaded, or makes nothing known is refused by name", async () => {
  const folder = scratch();
  const [empty, broken] = [join(folder, "empty.mjs"), join(folder, "broken.mjs")];
  writeFileSync(empty, "export const nothing = 1;\n");
  writeFileSync(broken, "export const = ;\n");
  for (const [path, message] of [
    [join(folder, "none.mjs"), "expected a module, got no such file"],
    [empty, "expected a module that makes layers known, got one that does not"],
    [broken, "expected a module that can be loaded, got SyntaxError"],
  ] as const) {
    const { code, stderr } = await runCli(["inspect", model, "--layers", path]);
    expect([code, stderr.includes(message)]).toEqual([2, true]);
  }
});
