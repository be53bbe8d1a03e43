import { someText, writeReport } from "../cli-api.ts";
import type { Command } from "./command.ts";
import { value } from "./flag.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";

interface ReportValues extends JsonValue {
  readonly out?: string;
}

/** `finetune report RUN…` makes a run's page again, or one page of several runs. */
export const reportCommand: Command<ReportValues> = {
  name: "report",
  usage: "report RUN...",
  summary: "Makes the page of a run again, or one page that lays several runs beside each other.",
  options: {},
  flags: {
    out: value("File to write", "FILE", someText, {
      group: "Output",
      otherwise: "report.html in the run folder; comparison.html for several",
    }),
    ...jsonFlag,
  },
  positionals: [1, 1000],
  examples: [
    ["report runs/pets", "runs/pets/report.html"],
    [
      "report runs/head runs/pets",
      "comparison.html: curves over each other, what differs, which samples changed",
    ],
  ],
  run: async ({ values, positionals, terminal }) => {
    const out = await writeReport(positionals, values.out);
    if (values.json) terminal.document({ out });
    terminal.print(`report    ${out}`);
  },
};
