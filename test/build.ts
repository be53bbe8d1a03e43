import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Before any test: builds dist where src is newer, so that tests of the command run the code at hand. */
export function setup(): void {
  const built = statSync(join(root, "dist", "cli", "main.js"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const newest = Math.max(...sources.map((path) => statSync(join(root, "src", path)).mtimeMs));
  if (newest <= built) return;
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  try {
    execFileSync(process.execPath, [compiler, "-p", "src"], { cwd: root, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    console.warn(`tsc -p src:\n${(error as { stdout?: string }).stdout}`);
  }
}
