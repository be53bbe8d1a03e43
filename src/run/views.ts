import type { StoredDataset } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import type { Recipe } from "../features/views/recipe.ts";
import { augmentationRecipe, formatRecipe, movesPixels, recipeLayers } from "../features/views/recipe.ts";
import type { ViewSettings } from "../features/views/view.ts";
import type { PlannedViews } from "../freeze/plan.ts";
import { drawingNodes } from "../freeze/view-layers.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import { outputShape } from "../task/targets.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import type { RunSettings } from "./settings.ts";

/** How a run augments its training samples. */
export interface RunViews {
  /** Views of each training sample; 0 for fresh ones in each epoch. */
  readonly count: number;
  /** Null where only the model's own layers draw. */
  readonly recipe: Recipe | null;
  readonly settings: ViewSettings;
  readonly planned: PlannedViews;
  readonly warnings: readonly string[];
}

const usualViews = 4;

/**
 * Returns how a run augments its training samples, null where it does not.
 * @throws {UsageError} for samples that cannot be augmented so, and where `views` have nothing to be drawn by.
 */
export function runViews(
  settings: Pick<RunSettings, "augment" | "views" | "seed">,
  model: LayerGraph,
  { graph, partition }: CutModel,
  dataset: StoredDataset,
  image: Required<ImageOptions> | null,
): RunViews | null {
  const { augment, views, seed } = settings;
  if (augment === null && views === "auto") return null;
  const recipe = augment === null ? null : augmentationRecipe(augment);
  if (recipe && !image) throw needsImages(dataset);
  const drawing = [...drawingNodes(graph)].filter((index) => partition.sides[index] === "static");
  const drawn = [...new Set(drawing.map((index) => graph.nodes[index]!.layer))];
  const layers = recipe && image ? recipeLayers(recipe, [...image.imageSize, image.channels]) : [];
  if (layers.length === 0 && drawn.length === 0) {
    if (views === "auto") return null;
    throw nothingDraws(views);
  }
  const own = drawn.map((path) => layerAt(graph, path));
  const positions = outputShape(model).length > 2;
  if (positions && (movesPixels(layers) || movesPixels(own))) throw movesPositions(own.length > 0);
  const count = views === "auto" ? usualViews : views;
  return {
    count,
    recipe,
    settings: { layers, seed },
    planned: { count, augment: layers.length > 0 && recipe ? formatRecipe(recipe) : null, layers: drawn },
    warnings:
      count === 1
        ? [
            `${optionSetTo("views", 1)}: view 0 is the image itself, so that nothing is augmented. Ask for 2 or more, or for 0, which draws fresh ones in each epoch.`,
          ]
        : [],
  };
}

function needsImages({ kind }: StoredDataset): UsageError {
  const advice =
    kind === "arrays"
      ? `Put Random layers of Keras at the beginning of the model and ask for ${optionName("views")}.`
      : `Remove ${optionName("augment")}.`;
  return optionError("augment", "image files", kind, { code: "augment-images", advice });
}

function nothingDraws(views: number): UsageError {
  return optionError(
    "views",
    `${optionName("augment")}, or a model that begins with random image layers before frozen ones`,
    views,
    {
      code: "views-without-augment",
      advice: `Pass ${optionSetTo("augment", "light")}, or remove ${optionName("views")}.`,
    },
  );
}

/** Targets of positions would have to move with the pixels. */
function movesPositions(isOwn: boolean): UsageError {
  return new UsageError(
    `${optionName(isOwn ? "views" : "augment")}: expected transformations that leave every pixel in its place, because the model has a target for each position, got one that moves pixels. Use brightness, contrast, saturation, hue, noise, blur or cutout.`,
    "augment-positions",
    isOwn ? "views" : "augment",
  );
}
