import { type LayerDescription, type NamedArgument, tensorNamesIn } from "./description.ts";
import { isTensorFlowFunction } from "./tf-ops.ts";

/** Without functions of TensorFlow that have no equal here and that nothing reads any more: the shape that a reshape took. */
export function withoutUnread(
  layers: readonly LayerDescription[],
  outputs: NamedArgument,
): readonly LayerDescription[] {
  const read = new Set([
    ...tensorNamesIn(outputs).map(({ layer }) => layer),
    ...layers.flatMap(({ calls }) =>
      calls.flatMap(({ args, kwargs }) =>
        [...args, ...Object.values(kwargs)].flatMap(tensorNamesIn).map(({ layer }) => layer),
      ),
    ),
  ]);
  const isUnread = ({ name, model, calls }: LayerDescription): boolean =>
    !model && calls.length > 0 && !read.has(name);
  const kept = layers.filter((layer) => !(isUnread(layer) && ofTensorFlow(layer)));
  return kept.length === layers.length ? layers : withoutUnread(kept, outputs);
}

function ofTensorFlow({ className }: LayerDescription): boolean {
  return isTensorFlowFunction(className) || className.startsWith("ops.");
}
