import type { Json, JsonObject } from "../../checkpoint.ts";
import type { DType, Shape } from "../../tensor.ts";
import { isObject } from "../config-values.ts";
import type { LayerSpec, WeightSpec } from "../layer-spec.ts";
import { graphClass, graphModule } from "../tfjs-graph/graph-model.ts";
import { graphNodes } from "../tfjs-graph/graph-node.ts";

/** Operations that tfjs runs asynchronously or that have state: control flow, lists, tables, selection of boxes. */
const asynchronous =
  /^(?:Switch|Merge|Enter|Exit|NextIteration|LoopCond|(?:Stateless)?(?:While|If)|TensorArray.*|TensorList.*|HashTable.*|LookupTable.*|NonMaxSuppression.*|Where|ListDiff)$/;

/** A tfjs graph model as one layer. Its weights are constants that no gradient reaches. */
export const graphModelSpec: LayerSpec = {
  className: `${graphModule}>${graphClass}`,
  defaults: {},
  weights: ({ config }) => objects(config["constants"]).map(constant),
  outputShapes: ({ config, inputs }) =>
    lists(config["output_shapes"]).map(([, ...rest]): Shape => [inputs[0]?.[0] ?? null, ...(rest as Shape)]),
  refusal: ({ nodes = [] }) => {
    const odd = graphNodes(nodes).find(({ op }) => asynchronous.test(op));
    return (
      odd && {
        reason: `its node ${odd.name} (${odd.op}) is control flow or has state that depends on the data`,
        advice: "Convert only the part of the model before it.",
      }
    );
  },
};

function constant({ name = "", shape = [], dtype = "" }: JsonObject): WeightSpec {
  return {
    name: String(name),
    shape: shape as readonly number[],
    dtype: dtype as DType,
    trainable: false,
    initializer: null,
  };
}

function objects(json: Json | undefined): readonly JsonObject[] {
  return Array.isArray(json) ? json.filter(isObject) : [];
}

function lists(json: Json | undefined): readonly (readonly Json[])[] {
  return Array.isArray(json) ? json.filter((item) => Array.isArray(item)) : [];
}
