import { expect, test } from "vitest";
import { layerSlots } from "../../src/formats/layer-slots.ts";

test("a layer whose activation has weights has unknown slots, so that its file is read and the layer is refused by name", () => {
  const placesWith = (className: string): unknown => {
    const layers = [
      { class_name: "InputLayer", config: { name: "x", batch_shape: [null, 4] } },
      {
        class_name: "Dense",
        config: { name: "y", units: 3, activation: { class_name: className, config: {} } },
      },
    ];
    const modelConfig = { class_name: "Sequential", config: { name: "model", layers } };
    return layerSlots({ modelConfig, kerasVersion: "3.15.1" }).get("y")!.weights;
  };
  expect(placesWith("PReLU")).toBeUndefined();
  expect(placesWith("ReLU")).toHaveLength(2);
});
