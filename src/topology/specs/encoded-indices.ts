import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { stringAt } from "../config-values.ts";
import type { LayerSpec, Refusal } from "../layer-spec.ts";

/**
 * Returns the output mode: `int`, `one_hot`, `multi_hot`, `count` or `tf_idf`. Before Keras 2.6 `multi_hot` was named
 * `binary` and `tf_idf` was named `tf-idf`.
 */
export function outputMode(config: JsonObject): string {
  const mode = stringAt(config, "output_mode");
  return mode === "binary" ? "multi_hot" : mode.replace("-", "_");
}

/** Returns the shape of integers that are encoded in rows of `depth`. */
export function encodedShape(input: Shape, mode: string, depth: number): Shape {
  if (mode === "int") return input;
  if (mode === "one_hot") {
    return input.length > 1 && input.at(-1) === 1 ? [...input.slice(0, -1), depth] : [...input, depth];
  }
  return [...input.filter((_, axis) => axis !== Math.min(1, input.length - 1)), depth];
}

/** Creates the spec of a layer that maps its input to integers below `depthOf` and encodes them by `output_mode`. */
export function encoder(
  className: string,
  defaults: JsonObject,
  depthOf: (config: JsonObject) => number,
  refusal?: (config: JsonObject) => Refusal | undefined,
): LayerSpec {
  return {
    className,
    defaults,
    outputShapes: ({ config, inputs }) => {
      const mode = outputMode(config);
      return [encodedShape(inputs[0], mode, mode === "int" ? 0 : depthOf(config))];
    },
    outputDTypes: ({ config }) => [outputMode(config) === "int" ? "int32" : "float32"],
    refusal: (config) => refusal?.(config),
  };
}
