import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { EngineInfo } from "../engine/engine-info.ts";
import { engineVersion } from "../engine/engine-info.ts";
import type { Precision } from "../engine/precision.ts";
import { KerasFileError, UsageError } from "../errors.ts";
import { sizeNow } from "../features/cache/file-index.ts";
import { makeFolder } from "../formats/make-folder.ts";
import { optionError, optionName } from "../options.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { TrainingCounts, TrainingState } from "../training/state.ts";
import type { SavedState } from "../training/state-file.ts";
import { readState, stateSaver, writeState } from "../training/state-file.ts";
import { argumentsOf, askedOptions, checkpointHash, datasetHash } from "./arguments.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import { finishMoves, waitingArguments } from "./files.ts";
import { hasResults, readArguments, stateFile } from "./kept-arguments.ts";
import type { StepSize } from "./memory.ts";
import type { FinetuneOptions, ResumeOptions } from "./options.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { RunSettings } from "./settings.ts";

/**
 * Returns the options that go on with a run in its folder, where it was asked with these; null where the run begins anew, because
 * nothing of it is there, or nothing to go on from.
 */
export function resumptionOf(out: string, options: FinetuneOptions): ResumeOptions | null {
  if (!existsSync(out)) return null;
  finishMoves(out);
  const kept = readArguments(out);
  const isLost = hasResults(out) && !existsSync(stateFile(out)) && !finishedEpochs({ resume: out });
  if (!kept || isLost) return null;
  const { onProgress, signal } = options;
  const values = Object.entries(options).filter(([name]) => kept.resume.again.includes(name));
  return { resume: out, ...Object.fromEntries(values), onProgress, signal };
}

/**
 * Returns the options of the run in a folder, as they were asked. Values that JSON cannot hold are passed again. More epochs than
 * the run had lengthen its last phase.
 * @throws {UsageError} for a folder that no run has begun in, and for a value that is missing.
 */
export function resumedOptions(options: ResumeOptions): FinetuneOptions {
  const { resume, ...given } = options;
  if (existsSync(resume)) finishMoves(resume);
  const kept = readArguments(resume);
  if (!kept || (hasResults(resume) && !existsSync(stateFile(resume)) && !finishedEpochs(options))) {
    throw optionError("resume", "a run folder with a state", resume, { code: "resume-without-state" });
  }
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  for (const name of kept.resume.again) {
    if (name in stated) continue;
    throw optionError(name, "the value that the run had, which a file cannot hold", undefined, {
      code: "resume-value",
      advice: "Pass it again.",
    });
  }
  const { recipe, freeze, ...asked } = kept.resume.asked;
  const isLonger = given.epochs !== undefined && given.epochs !== kept.epochs;
  // A recipe shares its epochs out between its phases: more of them make the last one longer, and move no other.
  const cuts =
    recipe !== undefined && isLonger
      ? { phases: kept.phases, layerDecay: kept.layerDecay ?? undefined }
      : { recipe, freeze };
  const known = Object.fromEntries(Object.entries(cuts).filter(([, value]) => value !== undefined));
  return { ...asked, ...known, ...stated, out: resume, overwrite: true } as unknown as FinetuneOptions;
}

/** A run before it is prepared. */
export interface Beginning {
  readonly isResumed: boolean;
  /** Null for a run that is not finished. */
  readonly finished: FinishedRun | null;
  readonly options: FinetuneOptions;
  /** The steps that a resumed run takes, which its memory may have decided; null for one that begins anew. */
  readonly step: StepSize | null;
  /** Counts of the last state that the run saved; null for one that begins. */
  readonly counts: TrainingCounts | null;
}

/** Returns how a run begins: as asked, or as the folder says that it goes on with. */
export function beginningOf(given: FinetuneOptions | ResumeOptions): Beginning {
  if (!("resume" in given))
    return { isResumed: false, finished: null, options: given, step: null, counts: null };
  const finished = finishedEpochs(given);
  const options = resumedOptions(given);
  const { batchSize, accumulate } = readArguments(given.resume) ?? {};
  const step = batchSize === undefined || accumulate === undefined ? null : { batchSize, accumulate };
  const saved = wholeState(given.resume);
  const counts = saved && "state" in saved ? saved.state.counts : null;
  return { isResumed: true, finished, options, step, counts };
}

/** The length of a finished run. */
export interface FinishedRun {
  readonly epochs: number;
  /** Epochs that it was to have; more than `epochs` where something ended it early. */
  readonly planned: number;
}

/** Returns the length of the run in a folder if it is finished and no more epochs are asked for, else null. */
export function finishedEpochs({ resume, epochs }: ResumeOptions): FinishedRun | null {
  if (existsSync(resume)) finishMoves(resume);
  const kept = readArguments(resume);
  if (!kept || !hasResults(resume) || existsSync(waitingArguments(resume))) return null;
  const trained = readFileSync(join(resume, "history.csv"), "utf8").trim().split("\n").length - 1;
  const planned = epochs ?? kept.epochs;
  const saved = wholeState(resume);
  if (!(saved && "state" in saved)) return trained === planned ? { epochs: trained, planned } : null;
  const { counts } = saved.state;
  if (counts.epochs !== trained) return null;
  const isLast = counts.phase === (Array.isArray(kept.phases) ? kept.phases.length : 1);
  const isEnded = counts.ended === "run" || (counts.ended === "phase" && isLast);
  return trained === planned || (isEnded && planned === kept.epochs) ? { epochs: trained, planned } : null;
}

/** Returns the line that a finished run is answered with. */
export function finishedLine(out: string, { epochs, planned }: FinishedRun): string {
  return `finished  ${out} after epoch ${epochs} of ${planned}. Ask for more with ${optionName("epochs")}.`;
}

/** Returns the name of the engine that the run in a folder began on, null where there is none. */
export function engineOfRun(out: string): EngineInfo["name"] | null {
  const engine = readArguments(out)?.resume.belongsTo["engine"];
  return engine === undefined ? null : (engine.split(" ")[0] as EngineInfo["name"]);
}

/** Returns the number of threads that the run in a folder began on, undefined where there is none. */
export function threadsOfRun(out: string): number | undefined {
  return readArguments(out)?.threads;
}

/** Returns the precision that the run in a folder began in, undefined where there is none. */
export function precisionOfRun(out: string): Precision | undefined {
  return readArguments(out)?.precision;
}

/**
 * Returns what args.json says of a run: every option as it was decided, the engine, and what a resumed run is prepared from. `given` are the
 * settings before the preparation.
 */
export function keptArguments(
  run: PreparedRun,
  given: RunSettings,
  engine: EngineInfo,
  { owners: belongsTo }: Pick<RunStart, "owners">,
): Readonly<Record<string, unknown>> {
  const { name, threads } = engine;
  return {
    ...argumentsOf(run.settings),
    engine: name,
    threads,
    resume: { ...askedOptions(given), belongsTo },
  };
}

/** A run as it begins or goes on. */
export interface RunStart {
  /** Hashes of what a run that goes on must find as it was when it began. */
  readonly owners: Owners;
  /** Null for a run that begins anew. */
  readonly from: TrainingState | null;
  /** Epochs that were planned when the run began: schedules have their horizon there. */
  readonly planned: number;
  /** Saves states; null for a run that keeps none. */
  readonly saver: Callback | null;
}

/**
 * Returns how a run starts: from the state in its folder where it is resumed and one was saved. More epochs than it had lift what
 * ended it. A disk that refuses a state is warned of, and training goes on.
 * @throws {UsageError} where the model, the data or the engine are not those of the state.
 */
export function startOf(
  run: PreparedRun,
  engine: EngineInfo,
  isResumed: boolean,
  isFinished: boolean,
): RunStart {
  const { out, saveEvery, epochs, onProgress } = run.settings;
  if (out === null) return { owners: {}, from: null, planned: epochs, saver: null };
  const owners = ownersOf(run, engine);
  const saved = isResumed ? savedState(out, run.settings) : null;
  if (isResumed) requireOwners(out, owners, readArguments(out)?.resume.belongsTo);
  if (saved) requireOwners(out, owners, saved.belongsTo);
  const planned = Number(saved?.belongsTo["planned"] ?? epochs);
  const belongsTo = { ...owners, planned: String(planned), epochs: String(epochs) };
  const isLonger = saved !== null && epochs > Number(saved.belongsTo["epochs"]);
  if (saved && !isFinished) {
    onProgress({ kind: "note", message: `resumed   after epoch ${saved.state.counts.epochs} of ${epochs}` });
  }
  return {
    owners,
    from:
      saved && (isLonger ? { ...saved.state, counts: { ...saved.state.counts, ended: null } } : saved.state),
    planned,
    saver:
      saveEvery === 0 || isFinished
        ? null
        : stateSaver(saveEvery, async (state) => {
            try {
              makeFolder(dirname(stateFile(out)));
              await writeState(stateFile(out), { belongsTo, state });
            } catch (error) {
              const reason = error instanceof Error ? error.message : String(error);
              const message = `state: epoch ${state.counts.epochs} could not be saved, and the run goes on: ${reason}`;
              onProgress({ kind: "warning", message });
            }
          }),
  };
}

/**
 * Returns the last state in a folder. A damaged one is warned of and passed over, because the run that begins anew ends with the same
 * bits; where more epochs are asked than it had, it is refused, because their schedule would be another.
 */
function savedState(out: string, { epochs, onProgress }: DecidedSettings): SavedState | null {
  const saved = wholeState(out);
  if (saved === null || "state" in saved) return saved;
  if (epochs > (readArguments(out)?.epochs ?? epochs)) throw saved.damage;
  onProgress({ kind: "warning", message: `${saved.damage.message} The run begins anew.` });
  return null;
}

/** Returns the last state in a folder, or the error of one that is damaged; null where there is none. */
function wholeState(out: string): SavedState | { readonly damage: KerasFileError } | null {
  if (!existsSync(stateFile(out))) return null;
  try {
    return readState(stateFile(out));
  } catch (error) {
    if (error instanceof KerasFileError) return { damage: error };
    throw error;
  }
}

type Owners = Readonly<Record<string, string>>;

/** @throws {UsageError} where a run that goes on has not what it began with. */
function requireOwners(out: string, owners: Owners, begun: Owners = {}): void {
  const strange = Object.keys(owners).find((name) => owners[name] !== begun[name]);
  if (strange === undefined) return;
  throw new UsageError(
    `${out}: ${strange}: expected what the run began with (${begun[strange]}), got ${owners[strange]}. Start a new run in another folder.`,
    "resume-other",
    "resume",
  );
}

function ownersOf(run: PreparedRun, engine: EngineInfo): Owners {
  const { checkpoint, dataset } = run;
  return {
    model: checkpointHash(checkpoint),
    data: `${datasetHash(dataset)}${sizesOf(run)}`,
    engine: `${engine.name} ${engineVersion(engine)}`,
  };
}

/** Returns a text that changes with the size of any file of the dataset; empty for arrays. */
function sizesOf({ dataset, files }: PreparedRun): string {
  if (!("samples" in dataset)) return "";
  const hash = createHash("sha256");
  const sizeOf = files?.sizeOf ?? sizeNow;
  hash.update(dataset.samples.map(({ path }) => `${sizeOf(path)}\n`).join(""));
  return `-${hash.digest("hex").slice(0, 16)}`;
}
