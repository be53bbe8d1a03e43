import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { decoderInfo, engineHome, ensureEngine, formatBytes } from "../cli-api.ts";
import type { EngineInfo } from "../index.ts";
import type { Command } from "./command.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { engineLine, slowEngineLines } from "./run-text.ts";

/** `finetune doctor` prints which engine runs and why, and what else a run depends on. */
export const doctorCommand: Command<EngineValues & JsonValue> = {
  name: "doctor",
  usage: "doctor",
  summary: "Says which engine runs and why, and what else a run depends on.",
  options: {},
  flags: { ...engineFlags, ...jsonFlag },
  positionals: [0, 0],
  examples: [],
  run: async ({ values, terminal }) => {
    chooseEngine(values);
    const engine = await ensureEngine();
    const cache = { folder: engineHome(), bytes: folderBytes(engineHome()) };
    const node = { version: process.version, platform: `${process.platform} ${process.arch}` };
    const decoder = await decoderInfo();
    if (values.json) terminal.document({ node, engine, decoder, cache });
    terminal.print(`node      ${node.version} on ${node.platform}`);
    for (const line of engineLines(engine)) terminal.print(line);
    terminal.print(`images    sharp ${decoder.sharp}, libvips ${decoder.libvips}`);
    terminal.print(`cache     ${cache.folder}  (${formatBytes(cache.bytes)})`);
  },
};

function engineLines(engine: EngineInfo): string[] {
  const lines = [`${engineLine(engine)}  (${engine.reason})`, `          ${engine.path}`];
  for (const other of engine.rejected) lines.push(`not used  ${other.name}: ${other.reason}`);
  return [...lines, ...slowEngineLines(engine)];
}

function folderBytes(folder: string): number {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return 0;
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) =>
        sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}
