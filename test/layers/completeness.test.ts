import { expect, test } from "vitest";
import {
  baseClasses,
  knowsActivation,
  publicNames,
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

test("docs/layers.md says what these tests saw", async () => {
  await expect(supportTable()).toMatchFileSnapshot("../../docs/layers.md");
});
