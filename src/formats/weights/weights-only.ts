import type { Architecture } from "../../architectures/architecture.ts";
import { architectureOf, knownArchitectures } from "../../architectures/known.ts";
import { weightCounts } from "../../architectures/weight-counts.ts";
import type { Checkpoint, CheckpointFormat } from "../../checkpoint.ts";
import { KerasFileError, TopologyError, UsageError } from "../../errors.ts";
import type { Hdf5File, Hdf5Group } from "../../hdf5/reader.ts";
import { optionName, optionSetTo } from "../../options.ts";
import { dialectVersion } from "../dialect-writing.ts";
import type { DescribedModel } from "../format.ts";
import { readNamedWeights, storedInGroup } from "../h5/reader.ts";
import { placeNumberedWeights, variableCount } from "../keras/variable-groups.ts";
import { notesKey, parseNotes } from "../notes.ts";
import type { ReadValues } from "../read-values.ts";
import { readPlaced } from "../stored-weights.ts";
import { type BuiltNetwork, buildNamed } from "./named-network.ts";
import { buildNumbered } from "./numbered-network.ts";

/**
 * @file Files with weights and without a model, as written by `save_weights` and downloaded by keras.applications. The
 * model comes from the architecture's name or from another file. Legacy `.h5` names its layers, `.weights.h5` numbers
 * them by class.
 */

/**
 * Reads the weights in an open file into a network.
 * @throws {KerasFileError} if the file holds no Keras weights, if they do not fit, or if no network is given; then it
 * names the one that the layers suggest.
 */
export function readWeightsOnly(
  file: Pick<Hdf5File, "root">,
  label: string,
  network: Architecture | DescribedModel | undefined,
  values: ReadValues,
): Checkpoint {
  const { root } = file;
  const weights = namedWeights(root, label) ?? numberedWeights(root);
  if (!weights) {
    throw new KerasFileError(
      `${label}: an HDF5 file that Keras did not write: expected a model_config or layer_names, got ${root.keys().slice(0, 5).join(", ") || "nothing"}.`,
      "not-keras",
    );
  }
  const notes = parseNotes(root.text(notesKey));
  const { format } = weights;
  if (network && "modelConfig" in network)
    return { format, ...weights.within(network, label, values), notes };
  const { modelConfig, placement } = networkFor(network, label, weights);
  return {
    format,
    kerasVersion: dialectVersion,
    modelConfig,
    weights: readPlaced(placement, values, label),
    notes,
  };
}

interface WeightsOnly {
  readonly format: CheckpointFormat;
  /** The number of layers that have weights. */
  readonly groups: number;
  /** The total number of weights. */
  readonly weights: number;
  readonly built: (architecture: Architecture) => BuiltNetwork;
  /** Assigns the weights to a model that is described elsewhere. @throws {KerasFileError} if they do not fit. */
  readonly within: (
    model: DescribedModel,
    label: string,
    values: ReadValues,
  ) => Pick<Checkpoint, "modelConfig" | "kerasVersion" | "weights">;
}

function namedWeights(root: Hdf5Group, label: string): WeightsOnly | undefined {
  const group = root.textList("layer_names") ? root : root.group("model_weights");
  const names = group?.textList("layer_names");
  if (!group || !names) return undefined;
  const stored = new Map(
    names
      .map((name) => [name, storedInGroup(group, name, label)] as const)
      .filter(([, weights]) => weights.length > 0),
  );
  return {
    format: "h5",
    groups: stored.size,
    weights: [...stored.values()].flat().length,
    built: (architecture) => buildNamed(architecture, stored),
    within: (model, path, values) => readNamedWeights(model, { root, group, label: path, values }),
  };
}

function numberedWeights(root: Hdf5Group): WeightsOnly | undefined {
  // The second name is that of Keras 2.12.
  const names = root.keys();
  const container = ["layers", "_layer_checkpoint_dependencies"].find((name) => names.includes(name));
  const layers = container === undefined ? undefined : root.group(container);
  if (!layers) return undefined;
  const groups = layers.keys().filter((name) => layers.group(name)?.group("vars")?.keys().length).length;
  return {
    format: "weights.h5",
    groups,
    weights: variableCount(layers),
    built: (architecture) => buildNumbered(architecture, root),
    within: (model, label, values) => ({
      ...model,
      weights: readPlaced(placeNumberedWeights(model, root), values, label),
    }),
  };
}

/** Finds a known architecture. @throws {UsageError} for a name that no known architecture has. */
export function requireArchitecture(name: string): Architecture {
  const architecture = architectureOf(name);
  if (architecture) return architecture;
  throw new UsageError(
    `${optionName("arch")} "${name}": no such architecture. Known: ${knownNames()}, or a file of the model.`,
    "arch",
    "arch",
  );
}

function knownNames(): string {
  return knownArchitectures()
    .map(({ name }) => name)
    .join(", ");
}

/** Builds the network that was asked for. @throws {KerasFileError} if none was, naming the one that fits. */
function networkFor(
  architecture: Architecture | undefined,
  label: string,
  { groups, weights, built }: WeightsOnly,
): BuiltNetwork {
  if (architecture) return asAsked(label, architecture, built);
  const recognised = knownArchitectures().find(
    (known) => weightCounts(known.name).includes(weights) && fits(() => built(known)),
  );
  const hint = recognised
    ? `Pass ${optionSetTo("arch", recognised.name)} (recognised from its ${groups} weight groups).`
    : `Pass ${optionName("arch")}, the network that its ${weights} weights belong to: the file of model.to_json(), another file of the same model, or one of ${knownNames()}.`;
  throw new KerasFileError(
    `${label} has weights but no model_config (saved with save_weights). ${hint}`,
    "weights-only",
    "arch",
  );
}

/** Builds the network that was asked for. @throws {KerasFileError} if the file's widths do not make such a network. */
function asAsked(
  label: string,
  architecture: Architecture,
  built: (architecture: Architecture) => BuiltNetwork,
): BuiltNetwork {
  try {
    return built(architecture);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    throw new KerasFileError(
      `${label}: its weights do not fit ${architecture.name}: ${error.message}`,
      "weights",
    );
  }
}

/** Returns true if everything in a file has a place. Widths of another network may make one that cannot be built. */
function fits(build: () => BuiltNetwork): boolean {
  try {
    return build().placement.problems.length === 0;
  } catch (error) {
    if (error instanceof TopologyError) return false;
    throw error;
  }
}
