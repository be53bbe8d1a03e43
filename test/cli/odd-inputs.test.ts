import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

test("spaces, quotes, commas and letters of any script in every path; links, hidden files and folders in folders", async () => {
  const root = join(scratch(), 'söme "place", 写真 #1');
  const data = join(root, "ph otos");
  mkdirSync(join(root, "mö dél"), { recursive: true });
  cpSync(photos({ brick: 4, grass: 4 }), data, { recursive: true });
  const [first, second] = ['bríck, "a"=1', "草"];
  cpSync(join(data, "brick"), join(data, first), { recursive: true });
  mkdirSync(join(data, second));
  symlinkSync(join(data, "grass", "grass-00.jpg"), join(data, second, "link.JPG"));
  for (const at of [1, 2, 3]) {
    mkdirSync(join(data, second, "deep", `${at}`), { recursive: true });
    cpSync(join(data, "grass", `grass-0${at}.jpg`), join(data, second, "deep", `${at}`, "日 本.jpeg"));
  }
  const classes = join(root, "classes");
  for (const name of [first, second]) symlinkToFolder(join(data, name), join(classes, name));
  for (const name of [".DS_Store", "Thumbs.db", "._x.jpg", ".hidden.jpg"]) {
    writeFileSync(join(classes, name), "x");
    writeFileSync(join(data, first, name), "x");
  }
  const model = join(root, "mö dél", "ré sné't.keras");
  cpSync(fixture("cli", "small_resnet.keras"), model);
  const out = join(root, "r ü n");
  const run = await runCli(["--model", model, "--data", classes, "--epochs", "1", "--out", out, "--json"]);
  expect([run.code, run.stderr.match(/^\s+at /m)]).toEqual([0, null]);
  expect(JSON.parse(run.stdout).features.samples).toBe(8);
  expect(JSON.parse(readFileSync(join(out, "labels.json"), "utf8"))).toEqual([first, second]);
  expect(readdirSync(out)).not.toContain("bad-images.csv");

  const predicted = await runCli(["predict", out, join(classes, second), "--json"]);
  expect([predicted.code, predicted.stderr.match(/^\s+at /m)]).toEqual([0, null]);
  const images = (JSON.parse(predicted.stdout) as { path: string }[]).map(({ path }) => path);
  expect(images).toHaveLength(4);
  for (const image of images) expect(image.startsWith(join(classes, second))).toBe(true);
});

function symlinkToFolder(target: string, link: string): void {
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(target, link);
}
