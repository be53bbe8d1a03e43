/**
 * Converts a class name to snake case as `to_snake_case` of `keras/src/utils/naming.py`: Conv2D is conv2d, PReLU is
 * p_re_lu.
 */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/**
 * Classes whose name in Keras's source differs from the exported one. Archives and .h5 files use the name in the
 * source.
 */
const namesInCode: Readonly<Record<string, string>> = { GroupQueryAttention: "GroupedQueryAttention" };

/** Returns the name in Keras's source of a class that is exported as `className`. */
export function nameInCode(className: string): string {
  return namesInCode[className] ?? className;
}
