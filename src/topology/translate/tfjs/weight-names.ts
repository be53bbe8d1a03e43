import type { JsonObject } from "../../../checkpoint.ts";
import { cellPlaces, nestedCells, nestedLayer } from "../../specs/recurrent-cells.ts";

/** What tfjs-layers calls a layer's weight, below the layer's name. `weight` is Keras 3's name of it. */
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
