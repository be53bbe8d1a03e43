import { formatSeconds } from "../cli-api.ts";
import type { ProgressEvent } from "../index.ts";
import type { Paint } from "./paint.ts";
import { figure } from "./run-text.ts";
import { runningLine } from "./running-epoch.ts";

/** One task at a time, shown once it has run for two seconds: a redrawn line on a terminal, a line now and then elsewhere. */
export interface Progress {
  /** Shows `done` of `total` units of the task called `label`; a new label, or fewer done than before, begins a new task. */
  update(label: string, done: number, total: number, unit: string, detail?: string): void;
  /** Shows a step of training: on a terminal a line about the running epoch, at once. */
  step(event: Extract<ProgressEvent, { kind: "step" }>): void;
  /** Hears that an epoch is over. */
  epochEnd(event: Extract<ProgressEvent, { kind: "epoch" }>): void;
  /** Takes the drawn line away, so that another can be written. */
  clear(): void;
}

export interface ProgressTarget {
  readonly write: (text: string) => void;
  readonly interactive: boolean;
  readonly columns: () => number;
  /** Milliseconds. */
  readonly now: () => number;
  /** False for `--quiet`: nothing is shown. */
  readonly isShown?: boolean;
  /** True if the terminal shows block elements. */
  readonly hasBlocks?: boolean;
  readonly paint?: Paint;
}

const quietMs = 2000;
const redrawMs = 100;
const plainMs = 10_000;

/** More values of the sparkline are joined in pairs. */
const mostLosses = 128;

export function createProgress({
  write,
  interactive,
  columns,
  now,
  isShown = true,
  hasBlocks = false,
  paint = (_style, text) => text,
}: ProgressTarget): Progress {
  let task: { label: string; started: number; startDone: number; done: number; shown: number } | null = null;
  let drawn = false;
  const clear = (): void => {
    if (drawn) write("\r\u001b[2K");
    drawn = false;
  };
  /** The epoch that is being trained: when its first heard step ended, and which it was. */
  let running: { readonly epoch: number; readonly began: number; readonly first: number } | null = null;
  let shownAt = Number.NEGATIVE_INFINITY;
  let lastSeconds: number | null = null;
  let course: number[] = [];
  const update: Progress["update"] = (label, done, total, unit, detail = "") => {
    if (!isShown) return;
    const time = now();
    if (!task || task.label !== label || done < task.done) {
      clear();
      task = { label, started: time, startDone: done, done, shown: Number.NEGATIVE_INFINITY };
    }
    task.done = done;
    const elapsed = time - task.started;
    if (elapsed < quietMs || time - task.shown < (interactive ? redrawMs : plainMs)) return;
    const rate = (done - task.startDone) / (elapsed / 1000);
    const text = progressLine({ label, done, total, unit, detail, rate });
    task.shown = time;
    if (!interactive) {
      write(`${text}\n`);
      return;
    }
    const width = columns();
    const bar = barText(done / total, Math.min(24, width - text.length - 4));
    write(`\r\u001b[2K${(bar ? `${bar} ${text}` : text).slice(0, width - 1)}`);
    drawn = true;
  };
  return {
    clear,
    update,
    step: ({ epoch, epochs, step, steps, loss }) => {
      if (!interactive) {
        const done = (epoch - 1) * steps + step;
        update("train", done, epochs * steps, "steps", `epoch ${epoch}/${epochs}  loss ${figure(loss)}`);
        return;
      }
      const time = now();
      if (running?.epoch !== epoch) running = { epoch, began: time, first: step };
      course.push(loss);
      if (course.length > mostLosses) course = halved(course);
      if (!isShown || (time - shownAt < redrawMs && step < steps)) return;
      shownAt = time;
      const elapsed = (time - running.began) / 1000;
      const rate = step > running.first && elapsed > 0 ? (step - running.first) / elapsed : null;
      const width = columns() - 1;
      const line = runningLine(
        { epoch, epochs, step, steps, loss, course, rate, lastSeconds },
        width,
        hasBlocks,
        paint,
      );
      write(`\r\u001b[2K${line}`);
      drawn = true;
    },
    epochEnd: ({ epoch }) => {
      lastSeconds = epoch.seconds;
    },
  };
}

/** Joins values in pairs, each to its mean. */
function halved(values: readonly number[]): number[] {
  return Array.from({ length: Math.ceil(values.length / 2) }, (_, index) => {
    const [first = 0, second = first] = values.slice(2 * index, 2 * index + 2);
    return (first + second) / 2;
  });
}

interface ProgressFigures {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail: string;
  /** Units a second. */
  readonly rate: number;
}

/** `extract  120/398 images  31.2 images/s  8.9s left` */
export function progressLine({ label, done, total, unit, detail, rate }: ProgressFigures): string {
  const parts = [label, `${done}/${total} ${unit}`];
  if (rate > 0) {
    const shown =
      rate >= 1 ? `${rate.toFixed(1)} ${unit}/s` : `${(1 / rate).toFixed(1)} s a ${unit.replace(/s$/, "")}`;
    parts.push(shown, `${formatSeconds(Math.max(0, total - done) / rate)} left`);
  }
  if (detail) parts.push(detail);
  return parts.join("  ");
}

/** `[=====>    ]`, empty where `width` leaves no room for it. */
function barText(share: number, width: number): string {
  if (width < 6) return "";
  const full = Math.round(Math.min(1, Math.max(0, share)) * (width - 2));
  return `[${"=".repeat(full)}${" ".repeat(width - 2 - full)}]`;
}
