import type { Weights } from "../checkpoint.ts";
import type { tf } from "../engine/tf.ts";
import type { LayerWeights } from "../model/layer-weights.ts";
import { disposeWeights, uploadWeights } from "../model/layer-weights.ts";
import type { Program } from "../model/program.ts";
import { programBetween } from "../model/program.ts";
import { runProgram } from "../model/run-program.ts";
import { inferenceForm } from "../topology/rewrites/inference-form.ts";
import type { CutModel } from "./cut.ts";

/** The static part as a program in inference form, with the weights that it runs on. */
export interface StaticProgram {
  readonly program: Program;
  /** Derived: folded. */
  readonly weights: Weights;
}

/** What runs once per image, on the engine. */
export interface Trunk {
  /** One tensor for each frontier tensor. The caller owns inputs and outputs. */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[];
  dispose(): void;
}

/** The static part of a cut model: identities gone, normalization folded, linear Dense merged. Exact but for rounding. */
export function staticProgram({ graph, partition }: CutModel, weights: Weights): StaticProgram {
  const dynamic = new Set(
    graph.nodes.filter((node) => partition.sides[node.index] === "dynamic").map((node) => node.layer),
  );
  const form = inferenceForm(graph, weights, {
    foldable: (path) => !dynamic.has(path),
    silenced: (node) => partition.sides[node.index] === "static",
    kept: partition.frontier,
  });
  const inputs = form.graph.inputs.map((input) => input.ref);
  return { program: programBetween(form.graph, inputs, form.kept), weights: form.weights };
}

export function createTrunk({ program, weights }: StaticProgram): Trunk {
  const uploaded: LayerWeights = uploadWeights(
    weights,
    program.nodes.map((node) => node.layer),
  );
  return {
    run: (inputs) => runProgram(program, inputs, uploaded),
    dispose: () => disposeWeights(uploaded),
  };
}
