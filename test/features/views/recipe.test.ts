import { describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import type { AugmentArgument } from "../../../src/features/views/recipe.ts";
import {
  augmentationRecipe,
  formatRecipe,
  movesPixels,
  recipeLayers,
} from "../../../src/features/views/recipe.ts";
import type { ImageShape } from "../../../src/features/views/transformations.ts";
import { strengths, transformations } from "../../../src/features/views/transformations.ts";
import { kernelOf } from "../../../src/layers/registry.ts";
import { specOf } from "../../../src/topology/layer-specs.ts";

const color: ImageShape = [224, 200, 3];
const gray: ImageShape = [28, 28, 1];

const classesOf = (argument: AugmentArgument, image = color) =>
  recipeLayers(augmentationRecipe(argument), image).map(({ className }) => className);

function refusal(argument: AugmentArgument, image = color): UsageError {
  try {
    recipeLayers(augmentationRecipe(argument), image);
  } catch (error) {
    if (error instanceof UsageError) return error;
  }
  throw new Error(`${JSON.stringify(argument)} was not refused`);
}

describe("a recipe", () => {
  test("is layers of Keras in the order of its names", () => {
    expect(classesOf("flip,rotate=10,zoom=0.1,brightness=0.2")).toEqual([
      "RandomFlip",
      "RandomRotation",
      "RandomZoom",
      "RandomBrightness",
    ]);
    expect(classesOf("zoom, flip")).toEqual(["RandomZoom", "RandomFlip"]);
  });

  test("counts degrees, shares and values of 0-255 as Keras's arguments do", () => {
    const [rotation, translation, noise] = recipeLayers(
      augmentationRecipe("rotate=90,translate=0.2,noise=5"),
      color,
    );
    expect(rotation?.config["factor"]).toEqual([-0.25, 0.25]);
    expect(translation?.config).toMatchObject({ height_factor: [-0.2, 0.2], width_factor: [-0.2, 0.2] });
    expect(noise?.config["stddev"]).toBe(5);
  });

  test("has every default of a layer in its config", () => {
    const [zoom] = recipeLayers(augmentationRecipe("zoom"), color);
    expect(zoom?.config).toMatchObject({
      fill_mode: "reflect",
      interpolation: "bilinear",
      width_factor: null,
    });
  });

  test("resizes a crop back to the model's size", () => {
    const [crop, resizing] = recipeLayers(augmentationRecipe("crop=0.5"), color);
    expect(crop?.config).toMatchObject({ height: 112, width: 100 });
    expect(resizing).toMatchObject({ className: "Resizing", config: { height: 224, width: 200 } });
  });

  test("knows every layer that a transformation is made of", () => {
    for (const name of Object.keys(transformations)) {
      for (const className of classesOf(name)) {
        expect(specOf(className), className).toBeDefined();
        expect(kernelOf(className), className).toBeDefined();
      }
    }
  });

  test("takes a strength, and single values beside it", () => {
    for (const strength of Object.keys(strengths)) {
      const recipe = augmentationRecipe(strength);
      expect(formatRecipe(recipe).split(",").length).toBe(strengths[strength]?.split(",").length);
    }
    expect(formatRecipe(augmentationRecipe("light,rotate=30,cutout"))).toBe(
      formatRecipe(augmentationRecipe("light")).replace("rotate=5", "rotate=30").concat(",cutout=0.2"),
    );
  });

  test("says itself in a way that gives it again", () => {
    const recipe = augmentationRecipe("strong,mixup=0.4");
    expect(formatRecipe(augmentationRecipe(formatRecipe(recipe)))).toBe(formatRecipe(recipe));
  });

  test("takes layers of Keras as their configs, alone or between names", () => {
    const solarize = { class_name: "keras_cv>Solarization", config: { threshold_factor: 0.5 } };
    expect(classesOf(solarize)).toEqual(["Solarization"]);
    expect(classesOf(["flip", solarize, "zoom"])).toEqual(["RandomFlip", "Solarization", "RandomZoom"]);
    expect(recipeLayers(augmentationRecipe(solarize), color)[0]?.config).toMatchObject({
      value_range: [0, 255],
      threshold_factor: 0.5,
    });
  });

  test("keeps what mixes samples apart from the layers", () => {
    const recipe = augmentationRecipe("flip,mixup,cutmix=0.5");
    expect(recipe).toMatchObject({ mixup: 0.2, cutmix: 0.5 });
    expect(recipeLayers(recipe, color)).toHaveLength(1);
  });

  test("tells which layers move pixels", () => {
    expect(movesPixels(recipeLayers(augmentationRecipe("brightness,cutout,hue"), color))).toBe(false);
    expect(movesPixels(recipeLayers(augmentationRecipe("brightness,flip"), color))).toBe(true);
  });
});

describe("images of one channel", () => {
  test("do without what a strength does to colors", () => {
    expect(classesOf("medium", gray)).not.toContain("RandomSaturation");
    expect(classesOf("medium", color)).toContain("RandomSaturation");
  });

  test("are refused a transformation of colors that is asked for by name", () => {
    expect(refusal("hue", gray).message).toContain("augment hue: expected images with colors");
    expect(refusal("light,saturation=0.5", gray).code).toBe("augment-channels");
  });
});

describe("refused", () => {
  test.each([
    ["rotat=10", "augment-unknown", "Did you mean rotate"],
    ["lihgt", "augment-unknown", "Did you mean light"],
    ["flip=sideways", "augment-value", "one of horizontal, vertical, both"],
    ["rotate=200", "augment-value", "a number from 0 to 180"],
    ["zoom=", "augment-value", "a number from 0 to 0.9"],
    ["zoom=wide", "augment-value", "a number from 0 to 0.9"],
    ["posterize=2.5", "augment-value", "a whole number from 1 to 8"],
    ["flip,flip", "augment-twice", "augment flip"],
    ["mixup,mixup=0.1", "augment-twice", "augment mixup"],
    ["light,strong", "augment-twice", "light and strong"],
    ["", "augment-unknown", "expected light, medium, strong"],
    ["flip,", "augment-unknown", "expected light"],
    ["constructor", "augment-unknown", "expected light"],
  ])("%s is refused as %s", (text, code, part) => {
    const error = refusal(text);
    expect(error.code).toBe(code);
    expect(error.message).toContain(part);
  });

  test.each([
    [{ class_name: "RandomFlipp", config: {} }, "Did you mean RandomFlip"],
    [{ class_name: "Dense", config: { units: 3 } }, "a random image layer of Keras"],
    [{ class_name: "MixUp", config: { alpha: 0.2 } }, "Use mixup=0.2"],
    [{ class_name: "RandomHeight", config: { factor: 0.2 } }, "Use zoom"],
    [{ config: {} }, "{ class_name, config }"],
  ])("the layer %o is refused", (layer, part) => {
    expect(refusal(layer).message).toContain(part);
  });

  test("images with alpha have no augmentation", () => {
    expect(refusal("flip", [8, 8, 4]).message).toContain("1 or 3 channels, got 4");
  });
});
