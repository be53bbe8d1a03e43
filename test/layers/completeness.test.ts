import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modelRecords } from "../formats/model-fixtures.ts";
import {
  baseClasses,
  knowsActivation,
  publicNames,
  summaryTable,
  supportTable,
  verdictOnLayer,
  verdictOnOperation,
} from "./support-table.ts";

test.each(publicNames.layers.filter((name) => !baseClasses.has(name)))(
  "keras.layers.%s runs against Keras's numbers or is refused by name",
  (name) => {
    const verdict = verdictOnLayer(name);
    expect(verdict.kind).not.toBe("unknown");
    if (verdict.kind === "runs" && name !== "InputLayer") expect(verdict.cases).toBeGreaterThan(0);
    if (verdict.kind === "refused") expect(verdict.advice).toMatch(/\.$/);
  },
);

test("every activation that needs no arguments can be named in a config", () => {
  expect(publicNames.activations.filter((name) => !knowsActivation(name))).toEqual(["threshold"]);
});

test.each(publicNames.operations)(
  "the operation %s runs against Keras's numbers or is refused by name",
  (name) => {
    const verdict = verdictOnOperation(name);
    if (verdict.kind === "runs") expect(verdict.cases).toBeGreaterThan(0);
    else expect(verdict).toMatchObject({ kind: "refused", reason: expect.stringContaining(name) });
  },
);

test("docs/layers.md lists the support that these tests find", async () => {
  await expect(supportTable()).toMatchFileSnapshot("../../docs/layers.md");
});

test("README's table lists the support that these tests find", async () => {
  const readme = readFileSync("README.md", "utf8");
  const place = /(?<=<!-- what the tests saw -->\n).*(?=<!-- end -->)/s;
  expect(readme).toMatch(place);
  const table = summaryTable(modelRecords().map(([, record]) => record));
  await expect(readme.replace(place, `${table}\n`)).toMatchFileSnapshot("../../README.md");
});
