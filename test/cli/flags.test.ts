import { describe, expect, test } from "vitest";
import type { AnyCommand } from "../../src/cli/command.ts";
import { flagsOf } from "../../src/cli/command.ts";
import { readCommandLine } from "../../src/cli/command-line.ts";
import { commands } from "../../src/cli/commands.ts";
import { failureOf } from "../../src/cli/failure.ts";
import { helpText } from "../../src/cli/help.ts";
import { oneIn } from "../sample.ts";

test("every command has a name of its own, and a flag of one name sets the same option in all", () => {
  const names = commands.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const options = new Map<string, Set<string | undefined>>();
  for (const command of commands) {
    for (const [name, { option }] of Object.entries(command.options)) {
      options.set(name, (options.get(name) ?? new Set()).add(option));
    }
  }
  expect([...options].filter(([, sets]) => sets.size > 1)).toEqual([]);
});

const everyFlag = commands.flatMap((command) =>
  [...flagsOf(command)].map(([name, flag]) => [command, name, flag] as const),
);
const named = everyFlag.map(([command, name, flag]) => ({
  written: `finetune ${command.name} --${name}`,
  command,
  name,
  flag,
}));

const helps = new Map(commands.map((command) => [command, helpText(command, 1000)]));

/** What the command line says of the tokens, and exits with. */
function refusal(command: AnyCommand, ...tokens: readonly string[]): ReturnType<typeof failureOf> {
  const least = Array.from({ length: command.positionals[0] }, (_, index) => `argument-${index}`);
  try {
    readCommandLine(commands, [command.name, ...least, ...tokens], "0.0.0");
  } catch (error) {
    return failureOf(error);
  }
  throw new Error(`${tokens.join(" ")} was taken`);
}

describe.each(oneIn(8, named))(
  "$written",
  ({ command, name, flag: { kind, help: text, placeholder, otherwise } }) => {
    test("is in the help with what it does", () => {
      expect(text.length).toBeGreaterThan(10);
      const written = placeholder ? `--${name} ${placeholder}` : `--${name}`;
      const [, ...lines] = helps.get(command)!.split(`\n  ${written} `);
      expect(lines).toHaveLength(1);
      const [line] = lines[0]!.trim().split("\n");
      const shown = otherwise === undefined ? text : `${text} [default: ${otherwise}]`;
      expect(line!.replace(/ {2,}/g, " ")).toBe(shown);
    });

    test("is refused with a wrong value, or without one where it needs one, and exits with 2", () => {
      if (kind === "switch") {
        const message = `--${name}: expected no value, got "yes".`;
        expect(refusal(command, `--${name}=yes`)).toEqual({ exitCode: 2, message });
        return;
      }
      const without = `--${name}: expected a value, got none. Write --${name} ${placeholder}.`;
      expect(refusal(command, `--${name}`)).toEqual({ exitCode: 2, message: without });
      expect(refusal(command, `--${name}`, "--json")).toEqual({ exitCode: 2, message: without });
      if (kind === "list") return;
      const empty = refusal(command, `--${name}=`);
      expect(empty.exitCode).toBe(2);
      expect(empty.message).toMatch(new RegExp(`^--${name}: expected .+, got ""\\.$`));
    });

    test("is suggested where a letter of it is missing or doubled", () => {
      for (const wrong of [name.slice(0, -1), `${name}${name.at(-1)}`]) {
        if (wrong === "" || flagsOf(command).has(wrong)) continue;
        const { exitCode, message } = refusal(command, `--${wrong}`, "x");
        expect([exitCode, message]).toEqual([2, `--${wrong}: unknown flag. Did you mean --${name}?`]);
      }
    });

    test("is refused twice, unless it is a list", () => {
      if (kind === "list") return;
      const { exitCode, message } = refusal(command, `--${name}=1`, `--${name}=1`);
      expect(exitCode).toBe(2);
      expect(message).toMatch(kind === "switch" ? /expected no value/ : /expected once, got it again/);
    });
  },
);
