import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineInfo } from "../engine/backend.ts";
import { UsageError } from "../errors.ts";
import { replaceFile } from "../formats/atomic-file.ts";
import { optionError } from "../options.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { TrainingState } from "../training/state.ts";
import { readState, stateSaver, writeState } from "../training/state-file.ts";
import { checkpointHash, datasetHash } from "./arguments.ts";
import type { FinetuneOptions, ResumeOptions } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunSettings } from "./settings.ts";

const stateFolder = (out: string): string => join(out, "state");
const askedFile = (out: string): string => join(stateFolder(out), "asked.json");
const stateFile = (out: string): string => join(stateFolder(out), "training.state");

/** Returns whether a folder holds a run that can be resumed. */
export function isResumable(out: string): boolean {
  return existsSync(askedFile(out));
}

/**
 * Returns the options of the run in a folder, as they were asked. Values that were no text then are passed again.
 * @throws {UsageError} for a folder that no run with states has written, and for a value that is missing.
 */
export function resumedOptions(options: ResumeOptions): FinetuneOptions {
  const { resume, ...given } = options;
  if (!isResumable(resume)) {
    throw optionError("resume", "a run folder with a state", resume, { code: "resume-without-state" });
  }
  const settings = JSON.parse(readFileSync(askedFile(resume), "utf8")) as Readonly<Record<string, unknown>>;
  const asked = Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== null && value !== "auto"),
  ) as unknown as FinetuneOptions;
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const merged: FinetuneOptions = { ...asked, ...stated, out: resume, overwrite: true };
  for (const name of ["model", "data"] as const) {
    if (merged[name] !== undefined) continue;
    throw optionError(name, "the value that the run had, which was no file", undefined, {
      code: "resume-value",
    });
  }
  return merged;
}

/** Keeps what a run was asked in its folder, where it can be resumed; a state of an earlier run goes. */
export async function keepAsked(out: string, settings: RunSettings): Promise<void> {
  const { model, data, callbacks: _callbacks, onProgress: _progress, signal: _signal, ...plain } = settings;
  rmSync(stateFolder(out), { recursive: true, force: true });
  mkdirSync(stateFolder(out), { recursive: true });
  const asked = {
    ...plain,
    ...(typeof model === "string" && { model }),
    ...(typeof data === "string" && { data }),
  };
  const text = `${JSON.stringify(asked, null, 2)}\n`;
  await replaceFile(askedFile(out), async (file) => writeFileSync(file, text));
}

/** Removes what `keepAsked` wrote where no state followed. */
export function forgetAsked(out: string): void {
  if (!existsSync(stateFile(out))) rmSync(stateFolder(out), { recursive: true, force: true });
}

/** A run as it begins or goes on. */
export interface RunStart {
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
export function startOf(run: PreparedRun, engine: EngineInfo, isResumed: boolean): RunStart {
  const { out, saveEvery, epochs, onProgress } = run.settings;
  if (out === null) return { from: null, planned: epochs, saver: null };
  const owners = ownersOf(run, engine);
  const saved = isResumed && existsSync(stateFile(out)) ? readState(stateFile(out)) : null;
  const strange = saved && Object.keys(owners).find((name) => owners[name] !== saved.belongsTo[name]);
  if (saved && strange) {
    throw new UsageError(
      `${out}: ${strange}: expected what the run began with (${saved.belongsTo[strange]}), got ${owners[strange]}. Start a new run in another folder.`,
      "resume-other",
      "resume",
    );
  }
  const planned = Number(saved?.belongsTo["planned"] ?? epochs);
  const belongsTo = { ...owners, planned: String(planned), epochs: String(epochs) };
  const isLonger = saved !== null && epochs > Number(saved.belongsTo["epochs"]);
  if (saved) {
    onProgress({ kind: "note", message: `resumed   after epoch ${saved.state.counts.epochs} of ${epochs}` });
  }
  return {
    from:
      saved && (isLonger ? { ...saved.state, counts: { ...saved.state.counts, ended: null } } : saved.state),
    planned,
    saver:
      saveEvery === 0
        ? null
        : stateSaver(saveEvery, async (state) => {
            try {
              await writeState(stateFile(out), { belongsTo, state });
            } catch (error) {
              const reason = error instanceof Error ? error.message : String(error);
              const message = `state: epoch ${state.counts.epochs} could not be saved, and the run goes on: ${reason}`;
              onProgress({ kind: "warning", message });
            }
          }),
  };
}

function ownersOf({ checkpoint, dataset }: PreparedRun, engine: EngineInfo): Record<string, string> {
  return {
    model: checkpointHash(checkpoint),
    data: datasetHash(dataset),
    engine: `${engine.name} ${engine.tensorflow ?? engine.tfjs}`,
  };
}
