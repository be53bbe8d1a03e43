import { oneOf } from "../cli-api.ts";
import type { EngineChoice } from "../index.ts";
import { useEngine } from "../index.ts";
import type { FlagsOf } from "./flag.ts";
import { flag, value } from "./flag.ts";

/** Heading of the help, whose order `help.ts` has. */
const machine = "Machine";

export interface EngineValues {
  readonly engine?: EngineChoice;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

/** Flags of every command that runs a model. */
export const engineFlags: FlagsOf<EngineValues> = {
  engine: value(
    "native: TensorFlow; wasm: everywhere, slower; auto: the first that works",
    "NAME",
    oneOf("auto", "native", "wasm"),
    { group: machine, otherwise: "auto" },
  ),
  verbose: flag("Print the engine's own messages", machine),
  quiet: flag("Print the result, warnings and errors alone", "Output"),
};

/** Takes the engine that the flags name, before anything touches tensors. */
export function chooseEngine(values: EngineValues): void {
  const verbose = values.verbose ?? false;
  if (values.engine !== undefined || verbose) useEngine(values.engine ?? "auto", { verbose });
}
