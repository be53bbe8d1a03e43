import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Real Keras in `.venv`, installed once; `KERAS_PYTHON` names another Python that has it. */
export default function installKeras(): void {
  if (process.env["KERAS_PYTHON"]) return;
  const python = ".venv/bin/python";
  if (!existsSync(".venv/bin/keras-installed")) {
    execFileSync("python3", ["-m", "venv", ".venv"], { stdio: "inherit" });
    execFileSync(python, ["-m", "pip", "install", "--quiet", "keras==3.15.1", "tensorflow-cpu==2.21.0"], {
      stdio: "inherit",
    });
    execFileSync("touch", [".venv/bin/keras-installed"]);
  }
  process.env["KERAS_PYTHON"] = python;
}
