import type { StoredDataset } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import type { CutMix } from "../features/views/cutmix.ts";
import { cutPartners } from "../features/views/cutmix.ts";
import { augmentationRecipe, formatRecipe, movesPixels, recipeLayers } from "../features/views/recipe.ts";
import type { ViewSettings } from "../features/views/view.ts";
import type { PlannedAugmentation } from "../freeze/plan.ts";
import { drawingNodes } from "../freeze/view-layers.ts";
import { optionError, optionName, optionSetTo } from "../options.ts";
import type { Objective } from "../task/objective.ts";
import { outputShapes } from "../task/objective.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import type { RunSettings } from "./settings.ts";

/** Augmentation of a run's training samples. */
export interface Augmentation {
  /** Views of each training sample, 0 for fresh ones in each epoch; null where samples have none. */
  readonly views: number | null;
  /** Settings from which views are made. */
  readonly settings: ViewSettings;
  /** Alpha of mixup; null without. */
  readonly mixup: number | null;
  /** Null without cutmix. */
  readonly cutmix: CutMix | null;
  readonly planned: PlannedAugmentation;
  readonly warnings: readonly string[];
}

type Asked = Pick<RunSettings, "augment" | "views" | "seed">;

const usualViews = 4;

/** Returns whether a run draws views, so that random layers which the model begins with are not silent. */
export function drawsViews({ augment, views }: Asked): boolean {
  return views !== "auto" || (augment !== null && augmentationRecipe(augment).steps.length > 0);
}

/** Everything that decides whether samples can be augmented as asked. */
export interface AugmentedRun {
  readonly model: LayerGraph;
  readonly cut: CutModel;
  readonly dataset: StoredDataset;
  /** Options with which images are read; null for other data. */
  readonly image: Required<ImageOptions> | null;
  readonly objective: Objective;
}

/**
 * Returns how a run augments its training samples, null where it does not.
 * @throws {UsageError} for samples, targets or losses that cannot be augmented so, and where `views` have nothing to be drawn by.
 */
export function augmentationOf(asked: Asked, run: AugmentedRun): Augmentation | null {
  const { augment, seed } = asked;
  if (augment === null && asked.views === "auto") return null;
  const { steps, mixup, cutmix, ...rest } =
    augment === null ? { steps: [], mixup: null, cutmix: null } : augmentationRecipe(augment);
  const recipe = { ...rest, steps, mixup, cutmix };
  const { image, dataset } = run;
  if (steps.length > 0 && !image) throw needsImages(dataset);
  const layers = image ? recipeLayers(recipe, [...image.imageSize, image.channels]) : [];
  const drawn = drawsViews(asked) ? drawingLayers(run.cut) : [];
  const views = viewCount(asked, layers.length + drawn.length > 0 || cutmix !== null);
  requireMovablePositions(run, layers, drawn);
  if (cutmix !== null) requireCutmix(run, views);
  if (mixup !== null || cutmix !== null) requireSoftTargets(run, mixup === null ? "cutmix" : "mixup");
  if (mixup !== null) requireRealFeatures(run.cut);
  return {
    views,
    settings: { layers, seed },
    mixup,
    cutmix: cutmix === null ? null : { alpha: cutmix, partnerOf: partnersIn(dataset, seed) },
    planned: {
      views,
      transformations: steps.length > 0 ? formatRecipe({ steps, mixup: null, cutmix: null }) : null,
      layers: drawn,
      mixup,
      cutmix,
    },
    warnings: views === 1 ? [loneView()] : [],
  };
}

/** Returns the paths of the static random layers that the model begins with. */
function drawingLayers({ graph, partition }: CutModel): string[] {
  const nodes = [...drawingNodes(graph)].filter((index) => partition.sides[index] === "static");
  return [...new Set(nodes.map((index) => graph.nodes[index]!.layer))];
}

function viewCount({ views }: Asked, isDrawn: boolean): number | null {
  if (isDrawn) return views === "auto" ? usualViews : views;
  if (views === "auto") return null;
  throw optionError(
    "views",
    `${optionName("augment")}, or a model that begins with random image layers before frozen ones`,
    views,
    {
      code: "views-without-augment",
      advice: `Pass ${optionSetTo("augment", "light")}, or remove ${optionName("views")}.`,
    },
  );
}

/** Returns for each image of the training split the one whose box it gets, drawn once a view. */
function partnersIn(dataset: StoredDataset, seed: number): CutMix["partnerOf"] {
  const paths =
    dataset.kind === "arrays"
      ? []
      : dataset.samples.filter(({ split }) => split === "train").map(({ path }) => path);
  let last: { readonly view: number; readonly partners: ReadonlyMap<string, string> } | undefined;
  return (path, view) => {
    if (last?.view !== view) last = { view, partners: cutPartners(paths, { seed, view }) };
    return last.partners.get(path) ?? path;
  };
}

function needsImages({ kind }: StoredDataset): UsageError {
  const advice =
    kind === "arrays"
      ? `Put Random layers of Keras at the beginning of the model and ask for ${optionName("views")}.`
      : `Remove ${optionName("augment")}.`;
  return optionError("augment", "image files", kind, { code: "augment-images", advice });
}

/** Transformations that move pixels where their targets cannot follow. */
const mixingLayers: ReadonlySet<string> = new Set(["AugMix", "RandAugment"]);

/** A mask moves with the pixels. Where it cannot, because a layer draws or mixes by itself, the transformation is refused. */
function requireMovablePositions(
  { model, image }: AugmentedRun,
  layers: ViewSettings["layers"],
  drawn: readonly string[],
): void {
  const shapes = outputShapes(model).filter((shape) => shape.length > 2);
  if (shapes.length === 0) return;
  const own = movesPixels(drawn.map((path) => layerAt(model, path)));
  const areMaps = image !== null && shapes.every((shape) => shape.length === 4);
  const isSameSize = shapes.every(
    ([, height, width]) =>
      [height ?? image?.imageSize[0], width ?? image?.imageSize[1]].join() === image?.imageSize.join(),
  );
  const strange = layers.find(
    ({ className }) => mixingLayers.has(className) || (className === "RandomElasticTransform" && !isSameSize),
  );
  if (!own && (!movesPixels(layers) || (areMaps && !strange))) return;
  const got = own
    ? "a random layer of the model that moves pixels"
    : (strange?.className ?? "one that moves pixels");
  throw new UsageError(
    `${optionName(own ? "views" : "augment")}: expected transformations that targets can follow, because the model has a target for each position, got ${got}. Use flip, rotate, zoom, crop, translate or shear for masks, and what changes values alone for everything else.`,
    "augment-positions",
    own ? "views" : "augment",
  );
}

function requireCutmix({ model, image, dataset }: AugmentedRun, views: number | null): void {
  if (!image) throw needsImages(dataset);
  if (hasPositions(model)) {
    throw new UsageError(
      `${optionName("augment")} cutmix: expected one target for each image, got a target for each position. Remove it.`,
      "cutmix-positions",
      "augment",
    );
  }
  if (views === 0) return;
  throw new UsageError(
    `${optionName("augment")} cutmix: expected ${optionSetTo("views", 0)}, got ${views}: a box is pasted into pixels, and kept features have none. Pass ${optionSetTo("views", 0)}, which runs the frozen part in each epoch, or use mixup, which works on kept features.`,
    "cutmix-views",
    "augment",
  );
}

/** Losses whose formula takes a target for one of two classes, so that one between them means nothing. */
const hardLosses: ReadonlySet<string> = new Set(["hinge", "squared_hinge", "categorical_hinge"]);

function requireSoftTargets({ objective }: AugmentedRun, name: string): void {
  const losses = objective.outputs.flatMap(({ loss }) => loss ?? []);
  const loss = losses.find(({ name: own, targets }) => targets !== "values" || hardLosses.has(own));
  if (!loss) return;
  const instead =
    loss.targets === "indices"
      ? `Pass ${optionSetTo("loss", "categorical_crossentropy")}${loss.name === "sparse_categorical_crossentropy" ? ", with one-hot targets where they are arrays" : ""}.`
      : `Choose another loss, or remove ${name}.`;
  throw new UsageError(
    `${optionName("augment")} ${name}: expected a loss that takes targets between two classes, got ${loss.name}. ${instead}`,
    "mixup-loss",
    "augment",
  );
}

/** Whole numbers stand for words: their average is another word. */
function requireRealFeatures({ graph, partition }: CutModel): void {
  const whole = partition.frontier.find((ref) =>
    /int|string|bool/.test(graph.nodes[ref.node]!.outputs[ref.output]!.dtype),
  );
  if (!whole) return;
  const { layer } = graph.nodes[whole.node]!;
  throw new UsageError(
    `${optionName("augment")} mixup: ${layer}: expected features that can be averaged, got whole numbers that stand for words. Freeze through the Embedding, or remove mixup.`,
    "mixup-features",
    "augment",
  );
}

function loneView(): string {
  return `${optionSetTo("views", 1)}: view 0 is the image itself, so that nothing is augmented. Ask for 2 or more, or for 0, which draws fresh ones in each epoch.`;
}

function hasPositions(model: LayerGraph): boolean {
  return outputShapes(model).some((shape) => shape.length > 2);
}
