import { oneOf, wholeNumber } from "../cli-api.ts";
import type { EngineChoice } from "../index.ts";
import { useEngine } from "../index.ts";
import type { GivenOptions } from "./command.ts";
import type { FlagsOf } from "./flag.ts";
import { flag, value } from "./flag.ts";
import { number } from "./values.ts";

/** Heading of the help, whose order `help.ts` has. */
const machine = "Machine";

export interface EngineValues {
  readonly engine?: EngineChoice;
  readonly threads?: number;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

/** Flags of every command that runs a model. */
export const engineFlags: FlagsOf<EngineValues> = {
  engine: value(
    "native: TensorFlow; webgpu: a GPU; wasm: everywhere, slower; auto: the first that works",
    "NAME",
    oneOf("auto", "native", "webgpu", "wasm"),
    { group: machine, otherwise: "auto" },
  ),
  threads: value("Processors to compute on; wasm uses at most 8", "N", wholeNumber(1), {
    group: machine,
    read: number,
    otherwise: "all",
  }),
  verbose: flag("Print the engine's own messages", machine),
  quiet: flag("Print the result, warnings and errors alone", "Output"),
};

/** Takes the engine, the threads and the precision that the flags name, before anything touches tensors. */
export function chooseEngine(
  { engine, threads, verbose = false }: EngineValues,
  { precision }: Pick<GivenOptions, "precision"> = {},
): void {
  if (engine === undefined && threads === undefined && precision === undefined && !verbose) return;
  useEngine(engine ?? "auto", {
    verbose,
    ...(threads !== undefined && { threads }),
    ...(precision !== undefined && { precision }),
  });
}
