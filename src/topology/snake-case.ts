/** `keras/src/utils/naming.py`, `to_snake_case`: Conv2D is conv2d, PReLU p_re_lu. */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}
