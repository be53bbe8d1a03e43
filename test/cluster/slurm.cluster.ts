/** The scripts of examples/slurm on a real Slurm: an array of eight on two cores, of which one task is killed. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Slurm, startSlurm } from "./slurm-daemons.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "slurm-work-"));
const finetune = `${process.execPath} ${join(root, "bin", "finetune.js")}`;
let slurm: Slurm;

beforeAll(async () => {
  slurm = await startSlurm();
});
afterAll(async () => {
  await slurm?.stop();
  rmSync(work, { recursive: true, force: true });
});

/** Submits the array and the training that waits for it, and returns the ids of both jobs. */
function submit(env: NodeJS.ProcessEnv): { readonly array: string; readonly training: string } {
  const script = join(root, "examples", "slurm", "submit.sh");
  const submitted = execFileSync(script, { cwd: work, env, encoding: "utf8" });
  const [, array = "", training = ""] = /features (\d+), then training (\d+)/.exec(submitted) ?? [];
  if (array === "") throw new Error(`${script}: expected the ids of two jobs, got ${submitted}`);
  return { array, training };
}

/** One job or task of an array as `squeue` shows it. */
const states = (job: string): Record<string, string> =>
  Object.fromEntries(
    slurm
      .run("squeue", "--noheader", "--states=all", "--array", `--jobs=${job}`, "--format=%i %T %r")
      .split("\n")
      .map((line) => line.split(" ", 2) as [string, string]),
  );

async function until<T>(seconds: number, look: () => T | undefined): Promise<T> {
  for (let attempt = 0; attempt < seconds * 5; attempt++) {
    const found = look();
    if (found !== undefined) return found;
    await wait(200);
  }
  throw new Error(`expected it within ${seconds} s\n${slurm.run("squeue", "--states=all", "--array")}`);
}

/** Pid of the process that extracts a shard, undefined while there is none. */
function extractorOf(task: string): number | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
      const isTask =
        environment.includes(`SLURM_ARRAY_TASK_ID=${task}\0`) && environment.includes(`CACHE=${work}`);
      if (command.includes("finetune.js\0extract") && isTask) return Number(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}

const logs = (prefix: string): string =>
  readdirSync(work)
    .filter((name) => name.startsWith(prefix))
    .map((name) => `${name}:\n${readFileSync(join(work, name), "utf8")}`)
    .join("\n");

describe("a Slurm array", () => {
  test("extracts in eight tasks, tries a killed one again, and then trains on what they left", async () => {
    const env = {
      ...slurm.env,
      MODEL: join(root, "fixtures", "demo", "efficientnet_lite0.keras"),
      DATA: join(root, "fixtures", "demo", "photos"),
      CACHE: join(work, "cache"),
      OUT: join(work, "run"),
      SHARDS: "8",
      FINETUNE: finetune,
      FLAGS: "--freeze-until block7 --engine wasm",
      TRAIN_FLAGS: "--epochs 1 --batch-size 8",
    };
    const { array, training } = submit(env);
    const pid = await until(60, () => extractorOf("1"));
    process.kill(pid, "SIGKILL");
    await until(240, () => {
      const all = Object.values({ ...states(array), ...states(training) });
      if (all.some((state) => /FAILED|TIMEOUT|NODE_FAIL/.test(state))) throw new Error(logs(""));
      return all.every((state) => state === "COMPLETED") ? true : undefined;
    });
    expect(Object.keys(states(array))).toHaveLength(8);

    const manifests = readdirSync(join(work, "cache"), { recursive: true, encoding: "utf8" })
      .filter((path) => /shard-\d-of-8\.json$/.test(path))
      .map((path) => JSON.parse(readFileSync(join(work, "cache", path), "utf8")) as { samples: number });
    expect(manifests).toHaveLength(8);
    expect(manifests.reduce((sum, { samples }) => sum + samples, 0)).toBe(75);
    expect(slurm.run("scontrol", "show", "job", `${array}_1`)).toMatch(/Restarts=1/);
    expect(logs(`train-${training}`)).toMatch(/features +75 images, 75 from the cache, 0 computed/);
    expect(readdirSync(join(work, "run"))).toContain("model.keras");
  });

  test("a task with a bad flag fails at once and is not tried again, and the training never starts", async () => {
    const env = {
      ...slurm.env,
      MODEL: join(root, "fixtures", "demo", "efficientnet_lite0.keras"),
      DATA: join(root, "fixtures", "demo", "photos"),
      CACHE: join(work, "other-cache"),
      OUT: join(work, "other-run"),
      SHARDS: "1",
      FINETUNE: finetune,
      FLAGS: "--freeze-until blok7 --engine wasm",
    };
    const { array, training } = submit(env);
    await until(60, () => (states(array)[`${array}_0`] === "FAILED" ? true : undefined));
    expect(slurm.run("scontrol", "show", "job", `${array}_0`)).toMatch(/Restarts=0/);
    expect(slurm.run("scontrol", "show", "job", training)).toMatch(/JobState=PENDING Reason=Dependency/);
    expect(logs(`features-${array}_0`)).toContain("Did you mean");
  });
});
