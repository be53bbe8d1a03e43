import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";

/**
 * A layer of a functional model in Keras 2's words, as one or two. The cosine of two vectors is `[N, 1, 1]` in Keras 1
 * (`keras/engine/topology.py`, Merge) and `[N, 1]` in Dot, so a Reshape takes the layer's name behind it.
 * @param written The layer as Keras 1 wrote it.
 * @param freshName A name that no layer has, made of the given one.
 */
export function withCosineShape(
  written: JsonObject,
  translated: JsonObject,
  freshName: (base: string) => string,
): readonly JsonObject[] {
  const { config } = written;
  const own = translated["config"];
  const isCosine = written["class_name"] === "Merge" && isObject(config) && config["mode"] === "cos";
  if (!isCosine || !isObject(own)) return [translated];
  const name = String(translated["name"] ?? own["name"]);
  const inner = freshName(`${name}_cosine`);
  const calls = translated["inbound_nodes"];
  const count = Array.isArray(calls) ? calls.length : 0;
  const inbound = Array.from({ length: count }, (_, call): Json => [[inner, call, 0]]);
  const reshape = { name, trainable: true, target_shape: [1, 1] };
  return [
    { ...translated, name: inner, config: { ...own, name: inner } },
    { class_name: "Reshape", name, config: reshape, inbound_nodes: inbound },
  ];
}
