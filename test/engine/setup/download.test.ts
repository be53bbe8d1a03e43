import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProgress } from "../../../src/cli/progress.ts";
import { findTensorFlow } from "../../../src/engine/setup/find-tensorflow.ts";
import { setupPlatform, tensorflowRelease, wheelPlatform } from "../../../src/engine/setup/platform.ts";

const { libraries, wheel, tag, sha256 } = wheelPlatform();
const [first, second] = libraries;
/** Random numbers, which do not get smaller. */
const filling = Uint8Array.from({ length: 400_000 }, (_, index) => (index * 2654435761) >>> 13);
const archive = zipSync(
  {
    [`tensorflow/${first}`]: filling,
    [`tensorflow/${second}`]: new Uint8Array(10),
    "tensorflow/include/tensorflow/c/c_api.h": strToU8("/* C */"),
  },
  { level: 0 },
);

/** Does what pip does as far as it is asked here: `pip --version`, and a download that is told in lines. */
const pip = (version: string, address: string): string => `#!${process.execPath}
const { readFileSync, writeFileSync } = process.getBuiltinModule("node:fs");
const [, , flag, ...rest] = process.argv;
if (flag === "-c") process.exit(0);
if (rest[1] === "--version") { console.log("pip ${version} from /somewhere (python 3.12)"); process.exit(0); }
const after = (name) => rest[rest.indexOf(name) + 1];
const raw = after("--progress-bar") === "raw";
const wanted = readFileSync(after("--requirement"), "utf8");
(async () => {
  const response = await fetch("${address}", { headers: { wanted: wanted.trim(), tag: after("--platform") } });
  const total = response.headers.get("content-length");
  const chunks = [];
  for await (const chunk of response.body) {
    chunks.push(chunk);
    if (raw) console.log("Progress " + Buffer.concat(chunks).length + " of " + total);
  }
  writeFileSync(after("--dest") + "/given.whl", Buffer.concat(chunks));
})();
`;

describe("the download of TensorFlow's wheel", () => {
  const folder = mkdtempSync(join(tmpdir(), "download-"));
  let server: Server;
  let asked: Record<string, unknown> = {};
  beforeAll(async () => {
    server = createServer(async (request, response) => {
      asked = request.headers;
      response.writeHead(200, { "content-length": archive.length });
      for (let at = 0; at < archive.length; at += 2 ** 17) {
        response.write(archive.subarray(at, at + 2 ** 17));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  type Told = readonly [what: string, bytes: number, total: number];

  async function download(version: string): Promise<Told[]> {
    const python = join(folder, `python-${version.replace(".", "-")}`);
    const { port } = server.address() as AddressInfo;
    writeFileSync(python, pip(version, `http://127.0.0.1:${port}/`));
    chmodSync(python, 0o755);
    const told: Told[] = [];
    const scratch = join(folder, `scratch-${version}`);
    const found = await findTensorFlow({ python, onDownload: (...event) => told.push(event) }, scratch);
    expect(found.folder).toBe(join(scratch, "tensorflow"));
    return told;
  }

  it("asks for one wheel, by its hash, and tells the bytes that are there of all", async () => {
    const told = await download("24.1");
    expect(asked).toMatchObject({ wanted: `${wheel}==${tensorflowRelease} --hash=sha256:${sha256}`, tag });
    expect(told.at(-1)).toEqual([`${wheel} ${tensorflowRelease}`, archive.length, archive.length]);
    expect(told.map(([, bytes]) => bytes)).toEqual(told.map(([, bytes]) => bytes).toSorted((a, b) => a - b));
    expect(told.length).toBeGreaterThan(1);
  });

  it("tells nothing where pip does not, before 24.1", async () => {
    expect(await download("24.0")).toEqual([]);
  });
});

describe("a download on the screen", () => {
  /** What is written of a download of 260 MB in 26 seconds. */
  function written(target: { interactive: boolean; isShown?: boolean }): string[] {
    const texts: string[] = [];
    let second = 0;
    const progress = createProgress({
      ...{ write: (text) => texts.push(text), columns: () => 80, now: () => second * 1000 },
      ...target,
    });
    for (; second <= 26; second++) progress.update(wheel, second * 10, 260, "MB");
    return texts;
  }

  it("is a line that is drawn anew on a terminal, a line now and then in a pipe, and nothing with --quiet", () => {
    const terminal = written({ interactive: true });
    expect(terminal.length).toBeGreaterThan(20);
    expect(terminal.at(-1)?.startsWith("\r\u001b[2K")).toBe(true);
    expect(terminal.at(-1)).toContain("260/260 MB");
    const pipe = written({ interactive: false });
    expect(pipe.length).toBeLessThan(5);
    for (const line of pipe) expect(line).toMatch(/^\w.*\d+\/260 MB.*\n$/);
    expect(written({ interactive: true, isShown: false })).toEqual([]);
  });
});

describe("the wheel of each system", () => {
  it.each([
    ["linux", "x64", "tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl"],
    ["linux", "arm64", "tensorflow-2.21.0-cp312-cp312-manylinux_2_27_aarch64.whl"],
    ["darwin", "arm64", "tensorflow-2.21.0-cp312-cp312-macosx_12_0_arm64.whl"],
  ])("is one that PyPI has: %s on %s", (system, machine, file) => {
    const platform = setupPlatform(system, machine);
    if (platform?.from !== "wheel") throw new Error(`${system} ${machine}: no wheel`);
    const name = platform.wheel.replaceAll("-", "_");
    expect(`${name}-${tensorflowRelease}-cp312-cp312-${platform.tag}.whl`).toBe(file);
    expect(platform.sha256).toMatch(/^[\da-f]{64}$/);
  });
});
