import type { JsonObject } from "../../../checkpoint.ts";
import { cellPlaces, nestedCells, nestedLayer } from "../../specs/recurrent-cells.ts";

/**
 * Returns a function that makes names unique and valid for tensors of tfjs-layers: letters, digits and `-._/`, the
 * first a letter or digit. tfjs-layers looks up weights by layer name, without the names of nested models.
 */
export function uniqueNames(): (wanted: string) => string {
  const taken = new Set<string>();
  return (wanted) => {
    const valid = wanted.replace(/[^-\w./]/g, "_").replace(/^[^A-Za-z0-9]+/, "") || "layer";
    let name = valid;
    for (let count = 1; taken.has(name); count += 1) name = `${valid}_${count}`;
    taken.add(name);
    return name;
  };
}

/**
 * Returns the name of a weight in tfjs-layers, relative to its layer.
 * @param weight Keras 3's name of the weight.
 */
export function tfjsWeightName(className: string, config: JsonObject, weight: string): string {
  switch (className) {
    case "DepthwiseConv2D":
      return weight === "kernel" ? "depthwise_kernel" : weight;
    case "TimeDistributed": {
      const inner = nestedLayer(config, "layer");
      return tfjsWeightName(inner.className, inner.config, weight.replace(/^layer\//, ""));
    }
    case "Bidirectional": {
      const inner = nestedLayer(config, "layer");
      const name = String(inner.config["name"] ?? "layer");
      const [, direction, own] = /^(forward|backward)_layer\/(.*)$/.exec(weight) ?? [];
      return `${direction}_${name}/${tfjsWeightName(inner.className, inner.config, own ?? weight)}`;
    }
    case "RNN": {
      const cell = nestedLayer(config, "cell");
      const own = weight.replace(/^cell\//, "");
      if (cell.className !== "StackedRNNCells") return own;
      const place = cellPlaces(nestedCells(cell.config)).findIndex((name) => own.startsWith(`${name}/`));
      return `RNNCell_${place}/${own.slice(own.lastIndexOf("/") + 1)}`;
    }
    default:
      return weight.replace(/^cell\//, "");
  }
}
