/** @file Training steps that are recorded once for each shape of batch and run as a whole from then on. */
import { tf } from "../engine/tf.ts";
import type { WeightNames } from "../model/graph-inputs.ts";
import { backendForGraph, graphInputs, shapesKey, weightNames } from "../model/graph-inputs.ts";
import type { ContextOf } from "../model/run-program.ts";
import type { TrainingProgram } from "../model/training-program.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { UploadedTargets } from "../task/judgement.ts";
import { disposeTargets, uploadedTargets } from "../task/judgement.ts";
import type { Objective } from "../task/objective.ts";
import type { Batch } from "./batch.ts";
import type { CalledStep, GivenBy } from "./called-step.ts";
import { calledStep } from "./called-step.ts";
import type { ComputedStep } from "./computed-step.ts";
import { stepOfTensors, stepTensors } from "./computed-step.ts";
import type { RecordedStep } from "./step-graph.ts";
import { graphOfStep, leastStepsOf } from "./step-graph.ts";
import { canReplay, isSameStep, replayOfStep } from "./step-replay.ts";

/** Shapes that a program's steps are recorded for at most, for a caller whose batches have ever others. */
const mostShapes = 8;

/**
 * The number of steps that will be taken, by the number of samples of the batch; batches of other sizes never become graphs. Where it is
 * not known, steps become graphs once as many have been taken as make one worthwhile.
 */
export type PlannedSteps = ReadonlyMap<number, number> | "unknown";

export interface RecordedStepsOptions {
  readonly training: TrainingProgram;
  /** The objective of batches that have none of their own. */
  readonly objective: Objective;
  readonly steps: PlannedSteps;
  /** False to record no step but as a graph. */
  readonly replays: boolean;
  readonly givenBy: GivenBy;
}

/** The recorded steps of a program. */
export interface RecordedSteps {
  /** The number of those that are graphs. */
  readonly graphs: number;
  /** The number of those that call their kernels again. */
  readonly replays: number;
  /**
   * Computes a step, or returns null where it is not recorded. A record is used where it gives what calls give: graphs are compared on
   * the first step of a shape, and other records, to the bit, on the second.
   * @param taken The number of steps that were taken before.
   */
  run(batch: Batch, weights: LayerWeights, contextOf: ContextOf, taken: number): ComputedStep | null;
  dispose(): void;
}

/** A recorded step of one shape, with the weights that it reads in their order. */
interface Made {
  readonly kind: "graph" | "replay";
  readonly names: WeightNames;
  readonly recorded: RecordedStep;
  isProven: boolean;
}

export function recordedSteps(options: RecordedStepsOptions): RecordedSteps {
  const { training, objective: ownObjective, steps, replays, givenBy } = options;
  // Null where a step is not recorded. Each shape for itself: what is refused late must not change other steps.
  const made = new Map<string, Made | null>();
  const objectives = new Map<Objective, number>();
  const isRefused = training.program.graph.activityPenalties !== undefined;
  const least = leastStepsOf(training.program);
  const isGraph = (samples: number, objective: Objective, taken: number): boolean => {
    if (isAlways()) return true;
    if (steps === "unknown") return taken >= least;
    return objective === ownObjective && (steps.get(samples) ?? 0) >= least;
  };
  const countOf = (kind: Made["kind"]): number =>
    [...made.values()].filter((each) => each?.kind === kind).length;

  /** Computes the first step of a shape, and records it if it can. */
  const first = (
    key: string,
    asGraph: boolean,
    called: CalledStep,
    inputs: readonly tf.Tensor[],
    { names, contextOf }: { readonly names: WeightNames; readonly contextOf: ContextOf },
  ): ComputedStep | null => {
    const backend = asGraph ? backendForGraph(called.features) : undefined;
    const graph = backend ? graphOfStep(backend, called, inputs, contextOf) : null;
    if (graph) {
      made.set(key, { kind: "graph", names, recorded: graph.recorded, isProven: true });
      return graph.step;
    }
    made.set(key, null);
    if (!replays || !canReplay(inputs)) return null;
    const { recorded, step } = replayOfStep(called, inputs, contextOf);
    if (recorded) made.set(key, { kind: "replay", names, recorded, isProven: false });
    return step;
  };

  /** Runs a record; on its second step beside the calls, whose results it returns. */
  const again = (
    key: string,
    known: Made,
    called: CalledStep,
    inputs: readonly tf.Tensor[],
    contextOf: ContextOf,
  ): ComputedStep | null => {
    const { recorded } = known;
    const drawn = recorded.draws.again(contextOf);
    let found: tf.Tensor[] | null;
    try {
      found = recorded.run([...inputs, ...drawn]);
    } finally {
      tf.dispose(drawn);
    }
    const step = found && stepOfTensors(recorded.form, found);
    if (!step || known.isProven) return step;
    const byCalls = calledStep(called, contextOf);
    known.isProven = isSameStep(step, byCalls);
    tf.dispose(stepTensors(step));
    if (!known.isProven) {
      recorded.dispose();
      made.set(key, null);
    }
    return byCalls;
  };

  return {
    get graphs() {
      return countOf("graph");
    },
    get replays() {
      return countOf("replay");
    },
    run: ({ features, targets, objective = ownObjective }, weights, contextOf, taken) => {
      const asGraph = isGraph(features[0]?.shape[0] ?? 0, objective, taken);
      if (isRefused || !(asGraph || replays)) return null;
      if (objective.outputs.some(({ loss }) => loss?.isOwn)) return null;
      const ofObjective = objectives.get(objective) ?? objectives.size;
      objectives.set(objective, ofObjective);
      const key = [ofObjective, asGraph, shapesKey(features), ...targets.map(targetsKey)].join("|");
      const known = made.get(key);
      if (known === null || (!known && made.size >= mostShapes)) return null;
      const uploads = uploadedTargets(objective, targets);
      try {
        const fed = [...features, ...uploads.flatMap((own) => (own ? tensorsOf(own) : []))];
        const names = known?.names ?? weightNames(weights);
        const inputs = graphInputs(fed, weights, names);
        const called: CalledStep = { training, givenBy, objective, features, targets: uploads, weights };
        return known
          ? again(key, known, called, inputs, contextOf)
          : first(key, asGraph, called, inputs, { names, contextOf });
      } finally {
        disposeTargets(uploads);
      }
    },
    dispose: () => {
      for (const each of made.values()) each?.recorded.dispose();
      made.clear();
    },
  };
}

/** Returns true if every step becomes a graph that can, as tests ask for. */
function isAlways(): boolean {
  return process.env["KERAS_FINETUNE_GRAPH"] === "always";
}

function targetsKey(own: Batch["targets"][number]): string {
  if (!own) return "none";
  return shapesKey(own.weights ? [own.targets, own.weights] : [own.targets]);
}

function tensorsOf({ targets, weights }: UploadedTargets): readonly tf.Tensor[] {
  return weights ? [targets, weights] : [targets];
}
