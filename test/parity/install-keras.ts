import { execFileSync } from "node:child_process";

/** Real Keras in `.venv`, installed once; `KERAS_PYTHON` names another Python that has it. */
export default function installKeras(): void {
  if (process.env["KERAS_PYTHON"]) return;
  execFileSync("test/parity/install-keras.sh", { stdio: "inherit" });
  process.env["KERAS_PYTHON"] = ".venv/bin/python";
}
