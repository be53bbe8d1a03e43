import { execFileSync } from "node:child_process";

/**
 * Real Keras in `.venv`, and its 3.0.5 in `.venv/early`, installed once; `KERAS_PYTHON` and `EARLY_KERAS_PYTHON` together name
 * other Pythons that have them.
 */
export default function installKeras(): void {
  if (!process.env["KERAS_PYTHON"] || !process.env["EARLY_KERAS_PYTHON"]) {
    execFileSync("test/parity/install-keras.sh", { stdio: "inherit" });
  }
  process.env["KERAS_PYTHON"] ||= ".venv/bin/python";
  process.env["EARLY_KERAS_PYTHON"] ||= ".venv/early/bin/python";
}
