import { formatSeconds } from "../cli-api.ts";

/** One task at a time, shown once it has run for two seconds: a redrawn line on a terminal, a line now and then elsewhere. */
export interface Progress {
  /** `done` of `total` units of the task called `label`; a new label, or fewer done than before, begins a new task. */
  update(label: string, done: number, total: number, unit: string, detail?: string): void;
  /** Takes the drawn line away, so that another can be written. */
  clear(): void;
}

export interface ProgressTarget {
  readonly write: (text: string) => void;
  readonly interactive: boolean;
  readonly columns: () => number;
  /** Milliseconds. */
  readonly now: () => number;
}

const quietMs = 2000;
const redrawMs = 100;
const plainMs = 10_000;

export function createProgress({ write, interactive, columns, now }: ProgressTarget): Progress {
  let task: { label: string; started: number; startDone: number; done: number; shown: number } | null = null;
  let drawn = false;
  const clear = (): void => {
    if (drawn) write("\r\u001b[2K");
    drawn = false;
  };
  return {
    clear,
    update: (label, done, total, unit, detail = "") => {
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
    },
  };
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
