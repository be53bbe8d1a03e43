/** `keras/src/utils/naming.py`, `to_snake_case`: Conv2D is conv2d, PReLU p_re_lu. */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** Classes that Keras's code names otherwise than they are exported: archives name folders, and .h5 layers, by the code. */
const namesInCode: Readonly<Record<string, string>> = { GroupQueryAttention: "GroupedQueryAttention" };

/** What Keras's code calls a class that is exported as `className`. */
export function nameInCode(className: string): string {
  return namesInCode[className] ?? className;
}
