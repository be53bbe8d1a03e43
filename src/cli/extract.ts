import type { Shard } from "../cli-api.ts";
import {
  extractRun,
  formatBytes,
  formatSeconds,
  parseShard,
  shardFromEnvironment,
  wholeShard,
} from "../cli-api.ts";
import type { Command } from "./command.ts";
import { archFlag, dataFlags, modelFlag } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { engineFlags } from "./engine-flags.ts";
import { only, value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { bnModeFlag, freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { cacheFlags, jsonFlag } from "./output-flags.ts";
import { modelAndData, startEngine } from "./run-flags.ts";
import { taskFlags } from "./task-flags.ts";
import { trainingFlags } from "./training-flags.ts";

interface ExtractValues extends FreezeValues, EngineValues, JsonValue {
  readonly shard?: Shard;
}

/** `finetune extract` runs the frozen part alone, one machine's share of it. */
export const extractCommand: Command<ExtractValues> = {
  name: "extract",
  usage: "extract --model FILE --data DIR [--shard I/N] [flags]",
  summary: "Runs the frozen part on one machine's share of the data, into a cache that all machines share.",
  options: {
    ...modelFlag,
    ...archFlag,
    ...dataFlags,
    ...only(taskFlags, "classes", "keep-head"),
    ...bnModeFlag,
    ...only(trainingFlags, "phase", "recipe", "augment", "views", "epochs", "seed", "memory", "precision"),
    ...only(cacheFlags, "cache", "cache-max", "cache-dtype"),
  },
  flags: {
    shard: value("Share of the samples, counted from 0: 0/8 to 7/8", "I/N", shardOf, {
      group: "Feature cache",
      option: "shard",
      otherwise:
        "of Kubernetes, Slurm, AWS Batch or Google Cloud Batch where one of these runs an array, else 0/1",
    }),
    ...freezeFlags,
    ...jsonFlag,
    ...engineFlags,
  },
  positionals: [0, 0],
  examples: [
    ["extract --model resnet50.h5 --data photos/ --cache shared/ --shard 0/8", "the first of eight machines"],
    ["--model resnet50.h5 --data photos/ --cache shared/", "the training afterwards extracts nothing"],
  ],
  interruptible: true,
  run: async ({ values, options: given, terminal, signal }) => {
    const found = modelAndData(given, "extract --model FILE --data DIR --shard I/N");
    const shard = values.shard ?? shardFromEnvironment(process.env) ?? wholeShard;
    const freeze = freezePolicies(values);
    await startEngine(values, given, terminal);
    const { bad, ...figures } = await extractRun(
      {
        ...given,
        ...found,
        signal,
        ...(freeze.length > 0 && { freeze }),
        onProgress: (event) => {
          if (event.kind === "warning") terminal.notice(`warning: ${event.message}`);
          if (event.kind !== "extract") return;
          const { done, total, cached, unit } = event;
          const detail = cached > 0 ? `${cached} from the cache` : "";
          terminal.progress.update("features", done, total, unit, detail);
        },
      },
      shard,
    );
    for (const { path, reason } of bad) terminal.notice(`warning: ${path}: ${reason} Skipped.`);
    if (values.json) terminal.document(figures);
    const { samples, extracted, cached, bytes, seconds } = figures;
    terminal.print(
      `shard ${shard.index}/${shard.count}: ${samples} samples, ${cached} from the cache, ${extracted} computed, ${formatBytes(bytes)} in ${formatSeconds(seconds)}`,
    );
  },
};

function shardOf(given: unknown, refuse: (expected: string) => Error): Shard {
  if (typeof given === "string") return parseShard(given);
  throw refuse("I/N, such as 0/8");
}
