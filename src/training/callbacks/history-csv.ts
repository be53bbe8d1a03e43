import { writeFileSync } from "node:fs";
import { replaceFile } from "../../formats/atomic-file.ts";
import { historyCsv } from "../history.ts";
import type { Callback } from "./callback.ts";

/** Writes the history to the file at `path` after each epoch, whole each time. */
export function historyFile(path: string): Callback {
  return {
    name: "history-csv",
    epochEnd: (_record, { history }) =>
      replaceFile(path, async (descriptor) => writeFileSync(descriptor, historyCsv(history))),
  };
}
