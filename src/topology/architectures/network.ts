import type { Json, JsonObject } from "../../checkpoint.ts";
import { keras2ToKeras3 } from "../translate/keras2-model.ts";

/** A functional model being written layer by layer, in Keras 2's short form of a config. */
export interface Network {
  /** Adds a layer behind those of the given names; returns its name. */
  layer(className: string, name: string, config: JsonObject, ...inputs: readonly string[]): string;
  /** The finished model in Keras 3's `.keras` dialect, its output that of the layer `output`. */
  model(name: string, output: string): JsonObject;
}

/** A network whose one input has this shape, the batch included. */
export function network(inputName: string, inputShape: readonly (number | null)[]): Network {
  const input = { batch_input_shape: inputShape, dtype: "float32", sparse: false, name: inputName };
  const layers: JsonObject[] = [
    { class_name: "InputLayer", name: inputName, config: input, inbound_nodes: [] },
  ];
  return {
    layer: (className, name, config, ...inputs) => {
      const node: Json = inputs.map((source) => [source, 0, 0, {}]);
      const common = { name, trainable: true, dtype: "float32" };
      layers.push({ class_name: className, name, config: { ...common, ...config }, inbound_nodes: [node] });
      return name;
    },
    model: (name, output) => {
      const config = { name, layers, input_layers: [[inputName, 0, 0]], output_layers: [[output, 0, 0]] };
      return keras2ToKeras3({ class_name: "Functional", config }, "2.15.0").modelConfig;
    },
  };
}
