/** @file Events of a run for TensorBoard, as `keras/src/callbacks/tensorboard.py` writes it. */
import { closeSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../formats/make-folder.ts";
import type { Callback, TrainingRun } from "../training/callbacks/callback.ts";
import type { Epoch } from "../training/history.ts";
import { confusionImage } from "./confusion-image.ts";
import type { SplitReport } from "./run-report.ts";
import type { EventEncoders, Hyperparameter, ListedMetric, SummaryValue } from "./tensorboard-events.ts";
import { eventEncoders, histogramOf, sessionEnd, sessionStart } from "./tensorboard-events.ts";
import { recordOf } from "./tensorboard-records.ts";

export interface TensorBoardOptions {
  /** Folder of the run: training figures are written to `train/` in it, validation figures to `validation/`, as Keras does. */
  readonly folder: string;
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** Called once with the reason if the disk refuses an event; training goes on without events then. */
  readonly onFailure: (reason: string) => void;
}

/** Writes events for TensorBoard while a run trains. */
export interface TensorBoard extends Callback {
  /**
   * Writes the confusion matrices of judged samples at an epoch, counted from 1, and how the run ended, and closes the files. A second
   * call does nothing.
   */
  close(status: "success" | "failure", judged?: SplitReport | null, epoch?: number): Promise<void>;
}

const writers = ["train", "validation"] as const;
const isEventFile = (name: string): boolean => name.startsWith("events.out.tfevents.");

/** Returns the paths of a run's files of events, below its folder. */
export function eventFiles(folder: string): readonly string[] {
  return [".", ...writers].flatMap((part) =>
    namesIn(join(folder, part))
      .filter(isEventFile)
      .map((name) => join(part, name)),
  );
}

/** Removes the events of an earlier run in the folder, and the folders that hold nothing else. */
export function removeEvents(folder: string): void {
  for (const name of eventFiles(folder)) rmSync(join(folder, name));
  for (const part of writers.map((name) => join(folder, name))) {
    if (namesIn(part).length === 0) rmSync(part, { recursive: true, force: true });
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/**
 * Returns the callback that writes each epoch's figures as scalars (`epoch_loss`, `epoch_learning_rate`, …), histograms of the weights
 * that are trained, and the run's hyperparameters. Steps are epochs counted from 0, as in Keras. The files are appended at each
 * epoch, so that TensorBoard can follow a run.
 */
export async function tensorBoard({
  folder,
  hyperparameters,
  onFailure,
}: TensorBoardOptions): Promise<TensorBoard> {
  const encoders = await eventEncoders();
  const open = new Map<string, EventFile>();
  let isOver = false;
  const guarded = (write: () => void): void => {
    if (isOver) return;
    try {
      write();
    } catch (error) {
      isOver = true;
      onFailure(error instanceof Error ? error.message : String(error));
    }
  };
  const add = (
    writer: (typeof writers)[number] | "",
    step: number,
    values: readonly SummaryValue[],
  ): void => {
    if (values.length === 0) return;
    const file = open.get(writer) ?? eventFile(join(folder, writer), encoders);
    open.set(writer, file);
    file.add(step, values);
  };
  let isListed = false;
  return {
    name: "tensorboard",
    epochEnd: (record, run) =>
      guarded(() => {
        const { train, validation } = scalarsOf(record);
        if (!isListed)
          add("", 0, sessionStart(encoders, hyperparameters, metricsOf(train, validation), now()));
        isListed = true;
        add("train", record.epoch - 1, [...scalarValues(train), ...histograms(run)]);
        add("validation", record.epoch - 1, scalarValues(validation));
      }),
    close: async (status, judged = null, epoch = 1) => {
      const images = isOver ? [] : await confusionImages(judged);
      guarded(() => {
        add("validation", epoch - 1, images);
        if (isListed) add("", 0, [sessionEnd(encoders, status, now())]);
      });
      isOver = true;
      for (const file of open.values()) file.close();
      open.clear();
    },
  };
}

interface EventFile {
  add(step: number, values: readonly SummaryValue[]): void;
  close(): void;
}

/** Opens a new event file in a folder, which is made. @throws what the system answers. */
function eventFile(folder: string, { event }: EventEncoders): EventFile {
  makeFolder(folder);
  const started = Math.floor(now());
  const name = `events.out.tfevents.${String(started).padStart(10, "0")}.${hostname()}.${process.pid}`;
  const descriptor = openSync(join(folder, name), "a");
  const write = (message: object): void => void writeSync(descriptor, recordOf(event(message)));
  write({ wallTime: now(), step: 0, fileVersion: "brain.Event:2" });
  return {
    add: (step, value) => write({ wallTime: now(), step, summary: { value } }),
    close: () => closeSync(descriptor),
  };
}

/** Returns the seconds since 1970. */
function now(): number {
  return Date.now() / 1000;
}

type Scalars = Readonly<Record<string, number>>;

const notScalars: ReadonlySet<string> = new Set(["epoch"]);

/** Splits an epoch's figures by the writer, each under the name that Keras gives it. */
function scalarsOf(record: Epoch): { readonly train: Scalars; readonly validation: Scalars } {
  const train: Record<string, number> = {};
  const validation: Record<string, number> = {};
  for (const [name, value] of Object.entries(record)) {
    if (value === undefined || notScalars.has(name)) continue;
    if (name.startsWith("val_")) validation[`epoch_${name.slice(4)}`] = value;
    else train[name === "lr" ? "epoch_learning_rate" : `epoch_${name}`] = value;
  }
  return { train, validation };
}

function scalarValues(scalars: Scalars): readonly SummaryValue[] {
  return Object.entries(scalars).map(([tag, simpleValue]) => ({ tag, simpleValue }));
}

function metricsOf(train: Scalars, validation: Scalars): readonly ListedMetric[] {
  const shown = (group: string, scalars: Scalars): readonly ListedMetric[] =>
    Object.keys(scalars)
      .filter((tag) => !/^epoch_(?:phase|seconds|learning_rate)$/.test(tag))
      .map((tag) => ({ group, tag }));
  return [...shown("validation", validation), ...shown("train", train)];
}

/** Returns a histogram of each weight that training moves. */
function histograms(run: TrainingRun): readonly SummaryValue[] {
  const snapshot = run.snapshot();
  try {
    return [...snapshot.read()].flatMap(([path, layer]) =>
      layer.map(({ name, data }) => ({
        tag: `${path}/${name}/histogram`,
        histo: histogramOf(data as Float32Array),
      })),
    );
  } finally {
    snapshot.dispose();
  }
}

async function confusionImages(judged: SplitReport | null): Promise<readonly SummaryValue[]> {
  const outputs = judged?.outputs ?? [];
  const images = outputs.map(async ({ name, labels, confusion }): Promise<readonly SummaryValue[]> => {
    if (!confusion) return [];
    const { png, ...size } = await confusionImage(confusion, labels);
    const tag = outputs.length > 1 ? `confusion_matrix/${name}` : "confusion_matrix";
    return [{ tag, image: { ...size, colorspace: 3, encodedImageString: png } }];
  });
  return (await Promise.all(images)).flat();
}
