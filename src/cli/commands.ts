import type { OptionSpelling } from "../cli-api.ts";
import type { AnyCommand, Commands } from "./command.ts";
import { convertCommand } from "./convert.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { extractCommand } from "./extract.ts";
import type { Flag } from "./flag.ts";
import { inspectCommand } from "./inspect.ts";
import { rateCommand } from "./lr-find.ts";
import { planCommand } from "./plan.ts";
import { predictCommand } from "./predict.ts";
import { reportCommand } from "./report.ts";
import { runsCommand } from "./runs.ts";
import { setupCommand } from "./setup.ts";
import { sweepCommand } from "./sweep.ts";
import { trainCommand } from "./train.ts";
import { whyCommand } from "./why.ts";

/** Every command, in the order of the help. The first is meant where none is named. */
export const commands: Commands = [
  trainCommand,
  planCommand,
  inspectCommand,
  whyCommand,
  predictCommand,
  evaluateCommand,
  rateCommand,
  sweepCommand,
  extractCommand,
  reportCommand,
  runsCommand,
  convertCommand,
  setupCommand,
  doctorCommand,
];

/** Names options in messages as the flags that set them: `--lr`, `--no-exif`, `--freeze-until "conv4"`. */
export const flagSpelling: OptionSpelling = {
  name: flagOf,
  assigned: (option, value) => {
    if (value === true) return flagOf(option);
    const off = optionFlags().find(([, flag]) => flag.option === option && flag.sets === value);
    return off ? `--${off[0]}` : `${flagOf(option)} ${value}`;
  },
  policy: (name, argument) =>
    argument === undefined ? flagOf(name) : `${flagOf(name)} ${JSON.stringify(argument)}`,
};

function flagOf(option: string): string {
  const flag =
    optionFlags().find(([, { option: own, sets }]) => own === option && sets !== false) ??
    commands
      .flatMap(({ flags }) => Object.entries<Flag<unknown>>(flags))
      .find(([, { option: own }]) => own === option);
  return `--${flag?.[0] ?? option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function optionFlags(): readonly (readonly [name: string, flag: AnyCommand["options"][string]])[] {
  return commands.flatMap(({ options }) => Object.entries(options));
}
