/** @file The events of a run whose results lie in the folder, while another run that is to replace it writes its own. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder } from "../formats/make-folder.ts";
import { eventFiles, removeEvents } from "../report/tensorboard.ts";
import { hasResults } from "./kept-arguments.ts";

/** Name of the file in a run folder that tells what happens. */
export const eventsName = "events.jsonl";
const asideName = ".earlier-events";

/**
 * Makes room for the events of a run that begins anew: those of results in the folder are set aside until this run has results of its
 * own. Those of a run that was killed before it had any are removed.
 */
export function setEventsAside(out: string): void {
  const aside = join(out, asideName);
  if (hasResults(out) && !existsSync(aside)) {
    for (const name of [eventsName, ...eventFiles(out)]) move(join(out, name), join(aside, name));
  }
  removeOwn(out);
}

/** Puts the events that were set aside back, in the place of those of a run that has failed; without such it has none. */
export function putEventsBack(out: string): void {
  const aside = join(out, asideName);
  removeOwn(out);
  for (const name of [eventsName, ...eventFiles(aside)]) move(join(aside, name), join(out, name));
  forgetEarlierEvents(out);
}

/** Removes the events that were set aside, which nothing in the folder belongs to any more. */
export function forgetEarlierEvents(out: string): void {
  rmSync(join(out, asideName), { recursive: true, force: true });
}

function removeOwn(out: string): void {
  rmSync(join(out, eventsName), { force: true });
  removeEvents(out);
}

function move(from: string, to: string): void {
  if (!existsSync(from)) return;
  makeFolder(dirname(to));
  renameSync(from, to);
}
