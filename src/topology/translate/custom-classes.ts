import type { Checkpoint } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { classNameOf } from "../dialects/class-names.ts";
import { kerasMajor } from "../dialects/dialect.ts";
import { packageLayer } from "../dialects/package-layers.ts";
import { editLayers } from "../edit-config.ts";
import { isCustomClass } from "./keras-modules.ts";

/** Matches the names of packages that Keras imports by itself when it opens a file. */
const imported = /^keras_(hub|nlp|cv)\b/;

/**
 * Returns a sentence on the custom classes that Python needs to open the written model, in a list; none if it needs none.
 * @param inKeras3 True if a model of Keras 2 becomes one of Keras 3, in which layers of packages become Keras's own.
 */
export function neededClasses(
  { modelConfig, kerasVersion }: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  inKeras3: boolean,
): readonly string[] {
  const major = kerasMajor(kerasVersion);
  const names = new Set<string>();
  editLayers(modelConfig, ({ json }) => {
    const className = classNameOf(json, major);
    const { config = null, registered_name: registered } = json;
    const known = isObject(config) ? packageLayer(className, config) : undefined;
    const becomesKeras = inKeras3 && major < 3 && known && !isCustomClass(known.className);
    if (isCustomClass(className) && !imported.test(className) && !becomesKeras) {
      names.add(typeof registered === "string" ? registered : className);
    }
    return json;
  });
  if (names.size === 0) return [];
  const listed = [...names].sort().join(", ");
  return [
    `Keras opens the written file only with the Python classes ${listed}: pass them in custom_objects, or import what registers them.`,
  ];
}
