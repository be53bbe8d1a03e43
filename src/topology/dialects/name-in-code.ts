/** Classes that Keras's code names otherwise than they are exported: archives name folders, and .h5 layers, by the code. */
const namesInCode: Readonly<Record<string, string>> = { GroupQueryAttention: "GroupedQueryAttention" };

/** What Keras's code calls a class that is exported as `className`. */
export function nameInCode(className: string): string {
  return namesInCode[className] ?? className;
}
