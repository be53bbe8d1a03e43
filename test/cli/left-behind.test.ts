/** What a run leaves, and what it reaches for: nothing of the machine in a model, modes by the umask, no network. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { unzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { fixture, runCli, scratch } from "./run-cli.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const training = (out: string, ...more: readonly string[]): string[] => [
  ...["--model", fixture("cli", "small_resnet.keras"), "--data", fixture("demo", "photos")],
  ...["--freeze-until", "conv3", "--epochs=1", "--out", out, ...more],
];

describe("what a run leaves", () => {
  test.each(["keras", "h5", "tfjs"])(
    "a model written as %s names no path, user or host of the machine",
    async (format) => {
      const out = join(scratch(), "somewhere-of-mine");
      const { code } = await runCli(training(out, "--format", format));
      expect(code).toBe(0);
      const name = readdirSync(out).find((each) => each.startsWith("model")) ?? "";
      const written = filesBelow(join(out, name));
      expect(written.length).toBeGreaterThan(0);
      const secrets = ["somewhere-of-mine", root, homedir(), hostname(), userInfo().username].filter(
        // A name of two letters occurs in any file by chance; "root" does as a word of HDF5's own.
        (text) => text.length > 4,
      );
      for (const { path, bytes } of written) {
        for (const text of secrets) expect([path, text, bytes.includes(text)]).toEqual([path, text, false]);
      }
    },
  );

  test.skipIf(process.platform === "win32")(
    "files and folders have the modes that the umask gives, the cache's too",
    () => {
      const cwd = scratch();
      const command = [
        process.execPath,
        join(root, "bin", "finetune.js"),
        ...training(join(cwd, "run"), "--cache", join(cwd, "cache")),
      ];
      const { status } = spawnSync(
        "sh",
        ["-c", `umask 077; exec ${command.map((word) => `'${word}'`).join(" ")}`],
        {
          cwd,
          env: { ...process.env, KERAS_FINETUNE_ENGINE: "wasm", KERAS_FINETUNE_HOME: join(cwd, "home") },
        },
      );
      expect(status).toBe(0);
      const entries = readdirSync(cwd, { recursive: true, encoding: "utf8" });
      expect(entries).toContain(join("run", "model.keras"));
      const open = entries.filter((path) => (statSync(join(cwd, path)).mode & 0o077) !== 0);
      expect(open).toEqual([]);
    },
  );
});

describe("what a run reaches for", () => {
  test("training, evaluating, predicting and converting reach no other machine", async () => {
    const cwd = scratch();
    const log = join(cwd, "network.log");
    const env = {
      NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "no-network.mjs")).href}`,
      NETWORK_LOG: log,
    };
    const out = join(cwd, "run");
    const photos = fixture("demo", "photos");
    for (const args of [
      training(out),
      ["evaluate", out, "--data", photos],
      ["predict", out, join(photos, "val")],
      ["convert", join(out, "model.keras"), join(cwd, "model.h5")],
      ["doctor"],
    ]) {
      const { code, stderr } = await runCli(args, { cwd, env });
      expect([args[0], code, stderr]).toEqual([args[0], 0, expect.any(String)]);
    }
    expect(existsSync(log) ? readFileSync(log, "utf8") : "").toBe("");
  });

  test("the guard of these tests hears an attempt", () => {
    const log = join(scratch(), "network.log");
    const guard = pathToFileURL(join(import.meta.dirname, "no-network.mjs")).href;
    const script = "fetch('http://127.0.0.1:9').catch(() => {})";
    spawnSync(process.execPath, ["--import", guard, "-e", script], {
      env: { ...process.env, NETWORK_LOG: log },
    });
    expect(readFileSync(log, "utf8")).toMatch(/^fetch/);
  });
});

/** The bytes of a file, or of each file in a folder; entries of a zip each by itself, unpacked. */
function filesBelow(path: string): { readonly path: string; readonly bytes: Buffer }[] {
  if (statSync(path).isDirectory()) return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
  const bytes = readFileSync(path);
  return [{ path, bytes }, ...(path.endsWith(".keras") ? entriesOf(path, bytes) : [])];
}

function entriesOf(path: string, bytes: Buffer): { readonly path: string; readonly bytes: Buffer }[] {
  return Object.entries(unzipSync(bytes)).map(([name, data]) => ({
    path: `${path}:${name}`,
    bytes: Buffer.from(data),
  }));
}
