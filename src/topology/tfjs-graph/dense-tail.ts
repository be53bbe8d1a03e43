import { isObject } from "../config-values.ts";
import { type GraphNodeJson, nodeName, textAttribute } from "./graph-node.ts";

/** A Dense layer at the end of a graph. */
export interface DenseTail {
  /** Name of the node that it reads. */
  readonly features: string;
  /** Names of the constants that are its kernel and bias. */
  readonly kernel: string;
  readonly bias: string | undefined;
  readonly activation: "linear" | "softmax" | "sigmoid";
  /** Name of the Keras layer, taken from the scope of the node. */
  readonly layer: string;
}

/**
 * Finds the Dense layer that computes `output`: a product with a constant, with or without a bias, optionally followed
 * by softmax or sigmoid. Returns undefined for any other graph.
 */
export function denseTail(nodes: readonly GraphNodeJson[], output: string): DenseTail | undefined {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const at = (name: string | undefined): GraphNodeJson | undefined => {
    let node = name === undefined ? undefined : byName.get(nodeName(name));
    while (node?.op === "Identity") node = byName.get(nodeName(node.input[0] ?? ""));
    return node;
  };
  const constant = (name: string | undefined): string | undefined => {
    const node = at(name);
    return node?.op === "Const" ? node.name : undefined;
  };
  const last = at(output);
  const activation = last && activations[last.op];
  const sum = activation ? at(last.input[0]) : last;
  if (!sum) return undefined;
  const isFused = sum.op === "_FusedMatMul";
  const bias = isFused || biasOps.has(sum.op) ? constant(sum.input[isFused ? 2 : 1]) : undefined;
  const product = isFused || !bias ? sum : at(sum.input[0]);
  if (!product || !isProduct(product)) return undefined;
  const kernel = constant(product.input[1]);
  const features = at(product.input[0])?.name;
  if (kernel === undefined || features === undefined || (isFused && bias === undefined)) return undefined;
  const layer = sum.name.split("/").at(-2) ?? "predictions";
  return { features, kernel, bias, activation: activation ?? "linear", layer };
}

const activations: Readonly<Record<string, "softmax" | "sigmoid">> = {
  Softmax: "softmax",
  Sigmoid: "sigmoid",
};
const biasOps: ReadonlySet<string> = new Set(["BiasAdd", "Add", "AddV2"]);

/** Returns whether a node multiplies rows by a matrix that is not transposed, without a fused activation. */
function isProduct({ op, attr }: GraphNodeJson): boolean {
  if (op !== "MatMul" && op !== "_FusedMatMul") return false;
  const transposed = [attr["transpose_a"], attr["transpose_b"]];
  if (transposed.some((flag) => isObject(flag) && flag["b"] === true)) return false;
  return op === "MatMul" || fusedOps(attr["fused_ops"]) === "BiasAdd";
}

function fusedOps(json: GraphNodeJson["attr"][string] | undefined): string {
  const list = isObject(json) && isObject(json["list"]) ? json["list"]["s"] : [];
  return Array.isArray(list) ? list.map((s) => textAttribute({ s })).join(",") : "";
}
