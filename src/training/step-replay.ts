/**
 * @file Small training steps as the kernels that their first one has called: the same kernels on the same shapes, and so the same bits.
 */
import { recordKernels } from "../engine/kernel-replay.ts";
import { tf } from "../engine/tf.ts";
import { readsLater } from "../engine/webgpu/repeatable.ts";
import { MachineError } from "../errors.ts";
import { hasCustomKernels } from "../layers/custom-kernels.ts";
import { graphRun } from "../model/graph-inputs.ts";
import type { ContextOf } from "../model/run-program.ts";
import type { CalledStep } from "./called-step.ts";
import { calledStep } from "./called-step.ts";
import type { ComputedStep } from "./computed-step.ts";
import { stepOfTensors, stepTensors } from "./computed-step.ts";
import type { RecordedDraws } from "./recorded-draws.ts";
import { recordedDraws } from "./recorded-draws.ts";
import type { RecordedStep } from "./step-graph.ts";

/**
 * Bytes that a small step reads and makes at most. In larger ones the kernels take the time, and what lies between them none that counts;
 * there gradients are used up one by one, and here all are there at once.
 */
const mostBytes = { read: 2 ** 22, made: 2 ** 24 } as const;

/** Returns true if a step that reads these tensors may run as a replay: where its values are at hand, and no foreign code runs in it. */
export function canReplay(inputs: readonly tf.Tensor[]): boolean {
  if (readsLater() || hasCustomKernels() || inputs.some(({ dtype }) => dtype === "string")) return false;
  const bytes = inputs.reduce((sum, { size, dtype }) => sum + size * tf.util.bytesPerElement(dtype), 0);
  return bytes <= mostBytes.read;
}

/**
 * Computes a step by calls and records it. The record is null where the step looks at values, draws otherwise than layers do, or makes
 * too much.
 * @param inputs All that the step reads.
 */
export function replayOfStep(
  called: CalledStep,
  inputs: readonly tf.Tensor[],
  contextOf: ContextOf,
): { readonly recorded: RecordedStep | null; readonly step: ComputedStep } {
  let draws: RecordedDraws | undefined;
  let form: ComputedStep | undefined;
  try {
    const { results, replay } = recordKernels(inputs, (take) => {
      const own = recordedDraws(contextOf, take);
      draws = own;
      return tf.tidy(() => {
        form = calledStep(called, own.contextOf);
        return stepTensors(form);
      });
    });
    if (!draws || !form) throw new Error("step: nothing was recorded");
    const step = stepOfTensors(form, results);
    if (replay.bytes <= mostBytes.made) {
      const run: RecordedStep["run"] = (given) => graphRun(replay, given);
      return { recorded: { run, dispose: replay.dispose, draws, form }, step };
    }
    replay.dispose();
    return { recorded: null, step };
  } catch (error) {
    if (error instanceof MachineError) throw error;
    return { recorded: null, step: calledStep(called, contextOf) };
  } finally {
    tf.dispose([...(draws?.drawn ?? [])]);
  }
}

/** Returns true if two steps of one form have the same bits. */
export function isSameStep(one: ComputedStep, other: ComputedStep): boolean {
  const [some, others] = [stepTensors(one), stepTensors(other)];
  return some.every((tensor, index) => {
    const beside = others[index];
    if (!beside || !tf.util.arraysEqual(tensor.shape, beside.shape)) return false;
    const [a, b] = [tensor.dataSync(), beside.dataSync()];
    return a.every((value, position) => Object.is(value, b[position]));
  });
}
