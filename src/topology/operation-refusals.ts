import type { Refusal } from "./layer-spec.ts";

/** Why some operations of keras.ops can be in no model that runs here. */
const reasons: readonly { readonly names: string; readonly because: string; readonly advice: string }[] = [
  {
    names: "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop",
    because: "calls a Python function, which is not in the file",
    advice: "Replace it by operations on whole tensors and save again.",
  },
  {
    names: "Arange",
    because: "has a length that only a number says, which a tensor in a model is not, in Keras either",
    advice: "Compute it outside of the model and save again.",
  },
  {
    names: "Eig Polar ViewAsComplex ViewAsReal",
    because: "works on complex numbers, which no tensor here holds",
    advice: "Keep the real and the imaginary parts apart and save again.",
  },
];

/** What is told of an operation, by its class name, that has no spec. */
export function operationRefusal(name: string): Refusal {
  const known = reasons.find(({ names }) => names.split(" ").includes(name));
  if (known) return { reason: `${name} ${known.because}`, advice: known.advice };
  return {
    reason: `neither an operation nor a layer named ${name} is known here`,
    advice: "Replace it by one that is and save again.",
  };
}
