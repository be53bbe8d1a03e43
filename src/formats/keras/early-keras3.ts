import type { Checkpoint } from "../../checkpoint.ts";
import { layerGraph } from "../../topology/build-graph.ts";
import { earlyVersion, inEarlyForm, refuseEncodedColumns } from "../../topology/translate/early-keras3.ts";
import { inDialect } from "../dialect-writing.ts";

/**
 * The checkpoint in a form of Keras 3's that the `.keras` of Keras 3.0 to 3.3 has too, and that means what these make of it.
 * Later ones open it as well, and give `model.output` as a list.
 * @throws {TopologyError} naming the layer that Keras 3, or 3.0, cannot hold or open.
 */
export function forEarlyKeras3(checkpoint: Checkpoint): Checkpoint {
  const translated = inDialect(checkpoint, "keras3");
  refuseEncodedColumns(layerGraph(translated));
  return {
    ...translated,
    kerasVersion: earlyVersion,
    modelConfig: inEarlyForm(translated.modelConfig),
  };
}
