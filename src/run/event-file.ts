/** @file `events.jsonl`: what happens in a run, one JSON object a line, for programs that follow it. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { ProgressEvent } from "./options.ts";

/** One line of the file besides its `time`, an ISO 8601 text. Lines with a `kind` that a reader does not know are to be passed over. */
export type RunEvent =
  | {
      readonly kind: "start";
      readonly process: number;
      readonly engine: string;
      /** Path, or null for a checkpoint or dataset that was passed as a value. */
      readonly model: string | null;
      readonly data: string | null;
      readonly epochs: number;
      readonly resumed: boolean;
    }
  | ProgressEvent
  | {
      readonly kind: "end";
      /** `stopped` has kept the epochs before, `failed` has kept nothing. */
      readonly status: "complete" | "stopped" | "failed";
      readonly bestEpoch?: number;
      readonly files?: readonly string[];
      readonly message?: string;
    };

export interface EventFile {
  /** Appends a line. Steps and extraction are told twice a second at most; an epoch's first step and what completes them always. */
  write(event: RunEvent): void;
  close(): void;
}

const leastMs = 500;

/**
 * Opens the file, emptied unless the run is resumed. A line is written at once and whole.
 * @param onFailure Called once with the reason if the disk refuses a line; nothing more is written then.
 */
export function openEventFile(
  path: string,
  { isResumed, onFailure }: { readonly isResumed: boolean; readonly onFailure: (reason: string) => void },
): EventFile {
  let descriptor: number | null = null;
  let told = Number.NEGATIVE_INFINITY;
  const close = (): void => {
    if (descriptor !== null) closeSync(descriptor);
    descriptor = null;
  };
  const guarded = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      close();
      onFailure(error instanceof Error ? error.message : String(error));
    }
  };
  guarded(() => {
    descriptor = openSync(path, isResumed ? "a" : "w");
  });
  return {
    close,
    write: (event) => {
      if (descriptor === null) return;
      if (isFrequent(event)) {
        const time = performance.now();
        if (time - told < leastMs) return;
        told = time;
      }
      const line = `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`;
      const to = descriptor;
      guarded(() => void writeSync(to, line));
    },
  };
}

/** Tells if an event is one of many like it, and neither the first step nor the last of them. */
function isFrequent(event: RunEvent): boolean {
  if (event.kind === "step") return event.step > 1 && event.step < event.steps;
  return event.kind === "extract" && event.done < event.total;
}
