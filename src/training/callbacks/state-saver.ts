import type { TrainingState } from "../state.ts";
import type { Callback, TrainingRun } from "./callback.ts";

/** Saves the state of the run after every `every` epochs, and at its end. Stands last in the list. */
export function stateSaver(every: number, save: (state: TrainingState) => Promise<void>): Callback {
  let saved = 0;
  const keep = async (run: TrainingRun): Promise<void> => {
    await save(run.state());
    saved = run.history.length;
  };
  let isBetween = true;
  return {
    name: "state-saver",
    stepEnd: () => {
      isBetween = false;
    },
    epochEnd: async ({ epoch }, run) => {
      isBetween = true;
      if (epoch % every === 0) await keep(run);
    },
    end: async (run) => {
      if (isBetween && run.history.length > saved) await keep(run).catch(() => {});
    },
  };
}
