import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const folder = ".venv/hub";

/** Installs KerasHub in `.venv/hub`, once, unless HUB_PYTHON names a Python that has it. */
export default function installHub(): void {
  if (process.env["HUB_PYTHON"]) return;
  process.env["HUB_PYTHON"] = `${folder}/bin/python`;
  if (existsSync(`${folder}/hub-installed`)) return;
  const run = (program: string, ...args: string[]): Buffer => execFileSync(program, args);
  run("python3", "-m", "venv", folder);
  run(`${folder}/bin/python`, "-m", "pip", "install", "--quiet", ...packages);
  run("touch", `${folder}/hub-installed`);
}

const packages = [
  ...["keras-hub==0.32.0", "keras==3.15.1", "tensorflow-cpu==2.21.0", "pillow==13.0.0"],
  ...["tensorflow-text==2.21.1", "sentencepiece==0.2.3", "tokenizers==0.23.3"],
];
