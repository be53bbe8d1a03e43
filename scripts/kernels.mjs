/** Compiles assembly/kernels.ts into src/engine/wasm-kernels/simd-binary.ts; with --check only says if that is what it would write. */
import { readFileSync, writeFileSync } from "node:fs";
import { compileString } from "assemblyscript/asc";

const root = new URL("..", import.meta.url);
const target = new URL("src/engine/wasm-kernels/simd-binary.ts", root);
const source = readFileSync(new URL("assembly/kernels.ts", root), "utf8");
const settings = {
  optimizeLevel: 3,
  shrinkLevel: 0,
  noAssert: true,
  runtime: "stub",
  enable: ["simd", "threads"],
};
const memory = { importMemory: true, initialMemory: 1, maximumMemory: 65536 };

async function compiled(sharedMemory) {
  const { binary, error, stderr } = await compileString(source, { ...settings, ...memory, sharedMemory });
  if (error) throw new Error(`assembly/kernels.ts\n${stderr}`);
  return Buffer.from(binary);
}

const [shared, single] = [await compiled(true), await compiled(false)];
const different = [...shared.keys()].filter((at) => shared[at] !== single[at]);
if (shared.length !== single.length || different.length !== 1) {
  throw new Error(
    `assembly/kernels.ts: binaries: expected to differ in the kind of memory alone, got ${different.length} bytes.`,
  );
}
const [kindAt] = different;
const lines = shared.toString("base64").match(/.{1,100}/g);

const text = `// Made by \`npm run kernels\` from assembly/kernels.ts.

/** The kernels for a memory that threads share, in base64. */
export const sharedBinary: string = [
${lines.map((line) => `  "${line}",\n`).join("")}].join("");

/** The byte that names the kind of memory, and its value for the memory of one thread. */
export const singleMemory = { at: ${kindAt}, value: ${single[kindAt]} } as const;
`;

if (!process.argv.includes("--check")) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  process.stderr.write(
    "simd-binary.ts: expected what assembly/kernels.ts says, got an older one. Run npm run kernels.\n",
  );
  process.exitCode = 1;
}
