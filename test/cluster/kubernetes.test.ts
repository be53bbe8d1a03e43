import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Job } from "kubernetes-models/batch/v1";
import { PersistentVolumeClaim } from "kubernetes-models/v1";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fixture, runCli, scratch } from "../cli/run-cli.ts";

const folder = fileURLToPath(new URL("../../examples/kubernetes", import.meta.url));
const manifest = (name: string): unknown => parse(readFileSync(join(folder, name), "utf8"));

const kinds = { Job, PersistentVolumeClaim };
const job = (name: string): Job => new Job(manifest(name) as ConstructorParameters<typeof Job>[0]);

describe("the manifests for Kubernetes", () => {
  test.each(readdirSync(folder))("%s is what the schema of the API allows", (name) => {
    const object = manifest(name) as { kind: keyof typeof kinds };
    expect(() => new kinds[object.kind](object as never).validate()).not.toThrow();
  });

  test("a manifest with a field that the API does not have is refused", () => {
    const object = manifest("extract.yaml") as { spec: object };
    const strange = { ...object, spec: { ...object.spec, completions: "eight" } };
    expect(() => new Job(strange as never).validate()).toThrow(/completions/);
  });

  const extractions = ["extract.yaml", "extract-s3.yaml"];

  test.each(extractions)(
    "in %s the shards are the completions, and a failed index does not end the others",
    (name) => {
      const { spec } = job(name);
      const [container] = spec?.template.spec?.containers ?? [];
      expect(spec?.completionMode).toBe("Indexed");
      expect(container?.env?.find(({ name }) => name === "JOB_COMPLETIONS")?.value).toBe(
        String(spec?.completions),
      );
      expect(spec?.backoffLimitPerIndex).toBeGreaterThan(0);
    },
  );

  test("the entry point takes its shard from the variables that Kubernetes sets", async () => {
    const { spec } = job("extract.yaml");
    const [container] = spec?.template.spec?.containers ?? [];
    const cwd = scratch();
    const places: Readonly<Record<string, string>> = {
      "/data/model.keras": fixture("demo", "efficientnet_lite0.keras"),
      "/data/photos": fixture("demo", "photos"),
      "/data/features": join(cwd, "features"),
    };
    const given = (container?.args ?? []).map((word) => places[word] ?? word);
    const environment = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
    const { code, stdout, stderr } = await runCli([...given, "--json"], {
      cwd,
      env: { ...environment, JOB_COMPLETION_INDEX: "3" },
    });
    expect(stderr).toContain("shard 3/8");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ shard: { index: 3, count: 8 }, cached: 0 });
  });
});
