/** @file The report of a run, from what the run leaves. */
import { basename, dirname, relative, resolve } from "node:path";
import { thumbnail } from "../data/decode.ts";
import type { Duplicate } from "../data/duplicates.ts";
import { commonFolder, isBelow } from "../data/file-listing.ts";
import { maskColor, maskPicture } from "../data/mask-picture.ts";
import type {
  ClassRow,
  DuplicateNote,
  MaskNote,
  OutputReport,
  RunReport,
  SplitReport,
} from "../report/run-report.ts";
import { flatFigures } from "../task/figures.ts";
import { callText } from "./call-text.ts";
import { costRows } from "./cost-rows.ts";
import { withHeatmaps } from "./explained-mistakes.ts";
import type { RunRecord } from "./folder.ts";
import type { JudgedMask } from "./judged-masks.ts";
import type { JudgedValidation } from "./judged-validation.ts";
import type { FinetuneOptions } from "./options.ts";
import type { PreparedRun } from "./prepared-run.ts";

/**
 * Returns what a page says of a run; null with a warning if it cannot be made, for a trained model must not be lost with its page.
 * Thumbnails of the mistakes are read from their files.
 * @param judged The validation samples, judged one by one; null where there are none.
 * @param options What the caller asked for.
 */
export async function runReport(
  run: PreparedRun,
  record: Omit<RunRecord, "report">,
  judged: JudgedValidation | null,
  options: FinetuneOptions,
): Promise<RunReport | null> {
  try {
    return await reportOf(run, record, judged, options);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    run.settings.onProgress({
      kind: "warning",
      message: `report.html: expected a page of the run, got an error: ${message} The model and all other files are complete.`,
    });
    return null;
  }
}

async function reportOf(
  run: PreparedRun,
  record: Omit<RunRecord, "report">,
  judged: JudgedValidation | null,
  options: FinetuneOptions,
): Promise<RunReport> {
  const { settings, dataset, plan, warnings } = run;
  const shown = nameBelow(run);
  return {
    version: 1,
    title: titleOf(settings),
    command: callText(options),
    finished: new Date().toISOString(),
    facts: [
      ["engine", record.engine],
      ["trainable parameters", plan.parameters.trainable.toLocaleString("en-US")],
      ["frozen weights", String(record.proof.weights.length)],
    ],
    settings: record.args,
    history: record.history,
    bestEpoch: record.bestEpoch,
    phases: record.phases.map(({ from, to, proof }, index) => ({
      name: run.phases[index]?.policy ?? `phase ${index + 1}`,
      from,
      to,
      frozenWeights: proof.weights.length,
      unchanged: proof.unchanged,
    })),
    splits: [
      ...(judged
        ? [await withImages(await explained(run, record, judged), dataset.kind === "images", shown)]
        : []),
      ...testSplit(run, record),
    ],
    layers: plan.layers.map(({ path, className, stage, parameters, trainable, side }) => ({
      path,
      className,
      stage,
      parameters,
      trainable,
      side,
    })),
    cost: plan.cost ? costRows(plan, record.measured) : [],
    warnings,
    duplicates: await duplicateNotes(record.duplicates.slice(0, mostDuplicates), dataset, shown),
    duplicateCount: record.duplicates.length,
    bad: record.bad.map(({ path, reason }) => ({ path: shown(path), reason })),
  };
}

/** Returns the figures, confusion and classes of the test samples, where there are any. */
function testSplit({ task }: PreparedRun, { test }: Pick<RunRecord, "test">): readonly SplitReport[] {
  if (!test) return [];
  const isSingle = task.outputs.length === 1;
  const own = <T>(given: PerOutput<T> | undefined, name: string): T | undefined =>
    isSingle ? (given as T | undefined) : (given as Readonly<Record<string, T>> | undefined)?.[name];
  const outputs = task.outputs.map(({ name, kind, perPosition }): OutputReport => {
    const confusion = own<readonly (readonly number[])[]>(test.confusion, name);
    const perClass = own<readonly ClassRow[]>(test.perClass, name);
    return {
      name,
      kind,
      perPosition,
      labels: own<readonly string[]>(test.labels, name) ?? [],
      samples: test.samples,
      ...(confusion && { confusion }),
      ...(perClass && { perClass }),
    };
  });
  const figures = flatFigures({ loss: test.loss, ...test.metrics });
  return [{ split: "test", samples: test.samples, figures, outputs }];
}

type PerOutput<T> = T | Readonly<Record<string, T>>;

/** Returns the names of model and data as people call them. */
function titleOf({ model, data }: PreparedRun["settings"]): string {
  const named = (value: unknown, otherwise: string): string =>
    typeof value === "string" ? basename(resolve(value)) : otherwise;
  return `${named(model, "A model")} on ${named(data, "a dataset")}`;
}

/** Returns what shortens paths of samples to those below the data's folder. */
function nameBelow({ settings: { data }, dataset }: PreparedRun): (path: string) => string {
  if (dataset.kind === "arrays") return (name) => name;
  const paths = dataset.samples.map(({ path }) => path);
  const own = typeof data === "string" ? resolve(data) : "";
  const root =
    own !== "" && paths.every((path) => isBelow(own, resolve(path)))
      ? own
      : commonFolder(paths.map((path) => dirname(resolve(path))));
  return (path) => (isBelow(root, resolve(path)) ? relative(root, resolve(path)) : path);
}

/** Adds heatmaps to the mistakes, where they are images. */
async function explained(
  { dataset, settings }: PreparedRun,
  { checkpoint }: Pick<RunRecord, "checkpoint">,
  judged: JudgedValidation,
): Promise<JudgedValidation> {
  if (dataset.kind !== "images") return judged;
  return { ...judged, validation: await withHeatmaps(judged.validation, checkpoint, settings) };
}

/** Adds the images of the mistakes, which are named by their paths, and draws the masks. */
async function withImages(
  { validation, masks, verdicts, names }: JudgedValidation,
  isImages: boolean,
  shown: (path: string) => string,
): Promise<SplitReport> {
  const outputs = validation.outputs.map(async (output): Promise<OutputReport> => {
    const { mistakes, suspects, misses } = output;
    const drawn = await Promise.all(
      (masks.get(output.name) ?? []).map((mask) => drawnMask(mask, names, output.labels.length)),
    );
    const told = verdicts.get(output.name);
    const notes = async <Note extends { readonly name: string }>(some: readonly Note[]) =>
      (isImages ? await withThumbnails(some) : some).map((note) => ({ ...note, name: shown(note.name) }));
    return {
      ...output,
      ...(told && { verdicts: { ...told, names: told.names.map(shown) } }),
      ...(mistakes && { mistakes: await notes(mistakes) }),
      ...(suspects && { suspects: await notes(suspects) }),
      ...(misses && { misses: await notes(misses) }),
      ...(drawn.length > 0 && {
        masks: await notes(drawn),
        maskColors: output.labels.map((_, index) => maskColor(index)),
      }),
    };
  });
  return { ...validation, outputs: await Promise.all(outputs) };
}

async function drawnMask(
  { row, right, truth, predicted, ...size }: JudgedMask,
  names: readonly string[],
  classes: number,
): Promise<MaskNote> {
  return {
    name: names[row] ?? String(row),
    right,
    aspect: size.width / size.height,
    truth: await maskPicture(truth, size, classes),
    predicted: await maskPicture(predicted, size, classes),
  };
}

/** Adds a small image to each note that names a file which can be decoded. */
function withThumbnails<Note extends { readonly name: string }>(
  notes: readonly Note[],
): Promise<(Note & { readonly thumbnail?: string })[]> {
  return Promise.all(
    notes.map(async (note) => {
      const image = await thumbnail(note.name);
      return image === undefined ? note : { ...note, thumbnail: image };
    }),
  );
}

/** At most so many duplicates are listed. */
const mostDuplicates = 24;

async function duplicateNotes(
  duplicates: readonly Duplicate[],
  dataset: PreparedRun["dataset"],
  shown: (path: string) => string,
): Promise<readonly DuplicateNote[]> {
  const placeOf = ({ split, label }: Duplicate["twin"]): string =>
    [split, label === undefined ? undefined : dataset.classNames?.[label]]
      .filter((part) => part !== undefined)
      .join(", ");
  const notes = duplicates.map((duplicate) => ({
    name: duplicate.path,
    place: placeOf(duplicate),
    twin: shown(duplicate.twin.path),
    twinPlace: placeOf(duplicate.twin),
  }));
  const pictured = dataset.kind === "images" ? await withThumbnails(notes) : notes;
  return pictured.map((note) => ({ ...note, name: shown(note.name) }));
}
