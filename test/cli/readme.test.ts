import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freezeFlags } from "../../src/cli/freeze-flags.ts";
import { runFlags } from "../../src/cli/run-flags.ts";
import { fixture, runCli, scratch } from "./run-cli.ts";

const root = join(fixture(), "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

describe("README", () => {
  test("every flag in it is one, and it explains every flag that freezes", () => {
    const others = ["help", "max-shard-size", "top"];
    const named = [...readme.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map((match) => match[1]!);
    const known = [...Object.keys(runFlags), ...others];
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
    expect(Object.keys(freezeFlags).filter((name) => !named.includes(name))).toEqual([]);
  });

  test("it names the two commands that do everything on a fresh machine", () => {
    expect(readme).toContain("npm ci && npm run demo");
    expect(readme).toContain("npm ci && npm test");
  });
});

describe("npm run demo", () => {
  test("it does well on pictures it did not train on, as often as one likes", async () => {
    const [node, script, ...args] = scripts["demo"]!.split(" ");
    expect([node, script]).toEqual(["node", "bin/finetune.js"]);
    const out = args.indexOf("--out") + 1;
    expect(args[out]).toBe("runs/demo");
    expect(args).toContain("--overwrite");
    const folder = join(scratch(), "demo");
    const run = await runCli(args.with(out, folder).concat("--json"));
    expect(run.code).toBe(0);
    const result = JSON.parse(run.stdout) as {
      bestEpoch: number;
      history: { val_accuracy: number }[];
      proof: { unchanged: boolean };
    };
    expect(result.history[result.bestEpoch - 1]!.val_accuracy).toBeGreaterThanOrEqual(0.85);
    expect(result.proof.unchanged).toBe(true);
    const again = await runCli(["predict", folder, fixture("demo", "photos", "val", "grass"), "--json"]);
    const predictions = JSON.parse(again.stdout) as { predictions: { label: string }[] }[];
    const grass = predictions.filter(({ predictions: [best] }) => best!.label === "grass");
    expect(grass.length / predictions.length).toBeGreaterThanOrEqual(0.85);
  });
});
