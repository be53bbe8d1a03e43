import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import type { RateReport } from "../report/html/rate-page.ts";
import { ratePage } from "../report/html/rate-page.ts";
import { argumentsOf } from "./arguments.ts";
import type { PreparedRun } from "./prepared-run.ts";

const fileName = "lr-find.json";

/** Returns whether a folder holds a learning-rate search. */
export function holdsRateSearch(folder: string): boolean {
  return existsSync(join(folder, fileName));
}

/** Writes the curve with its suggestions into a folder, and the page of it. Returns the page's path. */
export async function writeRateSearch(
  folder: string,
  { curve, suggestions, diverged }: Pick<RateReport, "curve" | "suggestions" | "diverged">,
  { settings, phases }: PreparedRun,
): Promise<string> {
  const report: RateReport = {
    version: 1,
    title: `Learning rate of ${typeof settings.model === "string" ? settings.model : "a model"}`,
    finished: new Date().toISOString(),
    ...{ curve, suggestions, diverged },
    policy: phases[0]?.policy ?? "",
    settings: argumentsOf(settings),
  };
  await write(join(folder, fileName), `${JSON.stringify(report, null, 2)}\n`);
  return writeRatePage(folder);
}

/**
 * Makes the page of a learning-rate search from what its folder keeps. Returns the page's path.
 * @throws {DataError} where the kept curve is of another version.
 */
export async function writeRatePage(folder: string, target?: string): Promise<string> {
  const file = join(folder, fileName);
  const report = JSON.parse(readFileSync(file, "utf8")) as RateReport;
  if (report.version !== 1) {
    throw new DataError(
      `${file}: expected a curve of version 1, got another. Search for the rate again.`,
      "no-report",
    );
  }
  const page = target ?? join(folder, "report.html");
  await write(page, ratePage(report));
  return page;
}

async function write(path: string, text: string): Promise<void> {
  await replaceFile(path, async (descriptor) => writeFileSync(descriptor, text));
}
