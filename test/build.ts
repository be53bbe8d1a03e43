import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Before any test: builds dist where src is newer, so that tests of the command run the code at hand. */
export function setup(): void {
  const built = statSync(join(root, "dist", "bundle", "main.js"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const newest = Math.max(...sources.map((path) => statSync(join(root, "src", path)).mtimeMs));
  if (newest <= built) return;
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  for (const step of [[compiler, "-p", "src"], [join(root, "scripts", "bundle.mjs")]]) {
    try {
      execFileSync(process.execPath, step, { cwd: root, encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      console.warn(`${step.join(" ")}:\n${(error as { stdout?: string }).stdout}`);
    }
  }
}
