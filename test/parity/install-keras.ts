import { execFileSync } from "node:child_process";

/**
 * Real Keras in `.venv`, its 3.0.5 in `.venv/early` and its 2.15 in `.venv/keras2`, installed once; `KERAS_PYTHON`,
 * `EARLY_KERAS_PYTHON` and `KERAS2_PYTHON` together name other Pythons that have them.
 */
export default function installKeras(): void {
  const { env } = process;
  if (!env["KERAS_PYTHON"] || !env["EARLY_KERAS_PYTHON"] || !env["KERAS2_PYTHON"]) {
    execFileSync("test/parity/install-keras.sh", { stdio: "inherit" });
  }
  env["KERAS_PYTHON"] ||= ".venv/bin/python";
  env["EARLY_KERAS_PYTHON"] ||= ".venv/early/bin/python";
  env["KERAS2_PYTHON"] ||= ".venv/keras2/bin/python";
}
