/** @file A loop over time as one operation with a gradient, where the engine runs graphs. */
import type { NativeBackend } from "../native-engine.ts";
import { nativeBackend } from "../native-engine.ts";
import { isRecording, recordOwnOperation } from "../tape.ts";
import { tf } from "../tf.ts";
import { canLoadGraphs } from "./native-graph.ts";
import { runningRecorder } from "./recorded-operations.ts";
import type { ScanInputs, ScanStep, StepFunction } from "./scan-plan.ts";
import type { Scanned, ScanProgram } from "./scan-program.ts";
import { scanProgram } from "./scan-program.ts";

export interface Scan extends ScanInputs {
  /** The name of the computation: two scans of one name and of the same shapes are the same. */
  readonly name: string;
  readonly step: StepFunction;
}

/** The number of programs that are kept. Another size of batch takes another program. */
const mostPrograms = 32;

const programs = new WeakMap<NativeBackend, Map<string, ScanProgram>>();

/** Returns true if the current engine runs scans: the native one on processors, where it has a folder for temporary files. */
export function canScan(): boolean {
  const backend = nativeBackend();
  return backend !== undefined && !backend.isUsingGpuDevice && canLoadGraphs(backend);
}

/**
 * Runs a step for each step of sequences, the first one on the given states. Returns the outputs of every step, `[T, …]`, and the
 * states after the last. They are differentiable in sequences, states and weights.
 */
export function scan({ name, step, ...inputs }: Scan): ScanStep {
  const backend = nativeBackend();
  if (!backend) throw new Error("scan: an engine without graphs");
  const hasGradient = isRecording();
  const program = programFor(backend, name, inputs, step, hasGradient);
  const results = program.run(inputs);
  if (hasGradient) recordScan(program, inputs, results);
  return { outputs: results.outputs, states: results.states };
}

/** Returns the program for inputs of these shapes, whatever their number of steps. */
function programFor(
  backend: NativeBackend,
  name: string,
  inputs: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): ScanProgram {
  const kept = programs.get(backend) ?? new Map<string, ScanProgram>();
  programs.set(backend, kept);
  const { sequences, states, weights, factors, count } = inputs;
  const shapes = [sequences.map(({ shape }) => shape.slice(1)), ...[states, weights, factors].map(shapesOf)];
  const key = JSON.stringify([name, hasGradient, count !== undefined, shapes]);
  const program = kept.get(key) ?? newProgram(backend, inputs, step, hasGradient);
  // The program that was used last stands at the end.
  kept.delete(key);
  kept.set(key, program);
  const [oldest] = kept;
  if (kept.size > mostPrograms && oldest) {
    oldest[1].dispose();
    kept.delete(oldest[0]);
  }
  return program;
}

/** Makes a program, which is no part of a computation that is recorded. */
function newProgram(
  backend: NativeBackend,
  inputs: ScanInputs,
  step: StepFunction,
  hasGradient: boolean,
): ScanProgram {
  const made = (): ScanProgram => scanProgram(backend, inputs, step, hasGradient);
  const recorder = runningRecorder(backend);
  if (!recorder) return made();
  // What the computation made itself becomes known to the recorder only as it is handed to the binding.
  backend.getInputTensorIds(Object.values(inputs).flat());
  return recorder.apart(made);
}

function shapesOf(tensors: readonly tf.Tensor[]): (readonly number[])[] {
  return tensors.map(({ shape }) => shape);
}

/** Hands a scan to the recording, with handles of its own of everything that the gradient reads. */
function recordScan(program: ScanProgram, inputs: ScanInputs, { outputs, residuals, states }: Scanned): void {
  const held: tf.Tensor[] = [];
  const handles = (tensors: readonly tf.Tensor[]): readonly tf.Tensor[] => {
    const own = tensors.map((tensor) => tf.keep(tensor.clone()));
    held.push(...own);
    return own;
  };
  const read: ScanInputs = {
    sequences: handles(inputs.sequences),
    states: handles(inputs.states),
    weights: handles(inputs.weights),
    factors: handles(inputs.factors),
    ...(inputs.count && { count: handles([inputs.count])[0] as tf.Tensor }),
  };
  const results: Scanned = {
    outputs: handles(outputs),
    residuals: handles(residuals),
    states: handles(states),
  };
  const { sequences, weights } = inputs;
  recordOwnOperation({
    name: "Scan",
    inputs: Object.fromEntries(
      [...sequences, ...inputs.states, ...weights].map((tensor, index) => [`${index}`, tensor]),
    ),
    outputs: [...outputs, ...states],
    saved: held,
    gradient: (dys) => {
      const found = program.gradients(read, results, {
        outputs: dys.slice(0, outputs.length),
        states: results.states.map((tensor, index) => dys[outputs.length + index] ?? tf.zerosLike(tensor)),
      });
      const all = [
        ...found.sequences.map((gradient) => () => gradient),
        ...found.states.map((gradient) => () => gradient),
        ...found.weights,
      ];
      const given = [...read.sequences, ...read.states, ...read.weights];
      return Object.fromEntries(
        all.map((gradient, index) => [
          `${index}`,
          () => gradient() ?? tf.zerosLike(given[index] as tf.Tensor),
        ]),
      );
    },
  });
}
