import { type Architecture, publishedFile } from "../../architectures/architecture.ts";
import type { JsonObject } from "../../checkpoint.ts";
import type { Hdf5Dataset } from "../../hdf5/dataset.ts";
import type { Hdf5Group } from "../../hdf5/reader.ts";
import { toFloat32 } from "../../tensor.ts";
import { dialectVersion } from "../dialect-writing.ts";
import { placeNumberedWeights, storedPaths } from "../keras/variable-groups.ts";
import { type LayerSlots, layerSlots } from "../layer-slots.ts";
import { modelTree } from "../model-tree.ts";
import type { BuiltNetwork } from "./named-network.ts";

/**
 * Builds the network of a file that numbers its layers by class. The published network tells the number of each layer;
 * the file's own widths and number of classes follow from that.
 * @throws {TopologyError} if they do not make a network.
 */
export function buildNumbered(architecture: Architecture, root: Hdf5Group): BuiltNetwork {
  const [whole, trunk] = [1000, null].map((classes) => {
    const published = architecture.build(publishedFile(classes));
    return storedPaths(modelTree(published), slotsOf(published), root);
  });
  const isStored = (path: string): boolean => (root.group(path)?.group("vars")?.keys().length ?? 0) > 0;
  const top = [...whole!].filter(([layer]) => !trunk!.has(layer));
  const paths = top.some(([, path]) => isStored(path)) ? whole! : trunk!;
  const variable = (layer: string, index: number): Hdf5Dataset | undefined => {
    const path = paths.get(layer);
    return path === undefined ? undefined : root.group(path)?.group("vars")?.dataset(String(index));
  };
  const modelConfig = architecture.build({
    kernelShape: (layer) => variable(layer, 0)?.shape,
    has: () => false,
    values: (layer) => {
      const mean = variable(layer, 0);
      return mean && [...toFloat32(mean.read())];
    },
  });
  return {
    modelConfig,
    placement: placeNumberedWeights({ modelConfig, kerasVersion: dialectVersion }, root),
  };
}

function slotsOf(modelConfig: JsonObject): ReadonlyMap<string, LayerSlots> {
  return layerSlots({ modelConfig, kerasVersion: dialectVersion });
}
