import yargs from "yargs";
import type { AnyCommand, Commands } from "./command.ts";
import { flagsOf } from "./command.ts";

/** The first lines that a newcomer sees: the commands of a first hour. */
export const shortStart = `finetune fine-tunes Keras models in Node, without Python.

  finetune --model resnet50.h5 --data photos/               train a new head on folders of images
  finetune --model resnet50.h5 --data photos/ --freeze-until conv4 --dry-run
                                                            what would be frozen, and what it costs
  finetune inspect resnet50.h5                              layers, stages, what can be frozen where
  finetune predict runs/resnet50-1 new-photos/              what a tuned model says of images
  finetune convert resnet50.h5 resnet50.keras               another file format
  finetune doctor                                           which engine runs here, and why

finetune help lists every command and flag; finetune help COMMAND those of one.`;

/** The headings of flags, in their order. */
export const groups: readonly string[] = [
  "Model and data",
  "Tables",
  "Task",
  "What is frozen",
  "BatchNormalization",
  "Training",
  "Optimizer and rate",
  "Augmentation",
  "Feature cache",
  "Output",
  "Machine",
];

/** Returns a command's help: usage, flags by group with their defaults, examples; no line longer than `width`. */
export function helpText(command: AnyCommand, width: number): string {
  const parser = yargs()
    .scriptName("finetune")
    .locale("en")
    .help(false)
    .version(false)
    .wrap(width)
    .parserConfiguration({ "camel-case-expansion": false, "dot-notation": false })
    .usage(`finetune ${command.usage}\n\n${command.summary}`);
  const flags = [...flagsOf(command)].sort(
    ([, a], [, b]) => groups.indexOf(a.group) - groups.indexOf(b.group),
  );
  for (const [name, { help, group, placeholder, otherwise }] of flags) {
    parser.option(`${name} ${placeholder}`.trimEnd(), {
      group: `${group}:`,
      describe: help,
      ...(otherwise !== undefined && { defaultDescription: otherwise }),
    });
  }
  const examples = command.examples.flatMap(([example, does]) => [`  finetune ${example}`, `      ${does}`]);
  if (examples.length > 0) parser.epilogue(["Examples:", ...examples].join("\n"));
  let text = "";
  parser.showHelp((shown) => {
    text = shown;
  });
  return text;
}

/** Returns the help of all: that of the first command, and a list of the others. */
export function fullHelp(commands: Commands, width: number): string {
  const [first, ...others] = commands;
  const rows = [
    ...others.map(({ usage, summary }) => `  finetune ${usage}\n      ${summary}`),
    "  finetune completion\n      Prints a script that completes commands and flags in a shell.",
    "  finetune help COMMAND\n      Prints the flags of a command.",
  ];
  return [
    helpText(first, width),
    "",
    "Other commands, each with its own --help:",
    ...rows,
    "",
    "Any command takes --config FILE: flags by name in JSON or YAML; flags on the command line win.",
    "Exit codes: 0 done, 2 the command line, 1 a file, the data or the machine, 130 Ctrl-C.",
  ].join("\n");
}
