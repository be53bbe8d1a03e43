/**
 * Gives each name once, in a form that tfjs-layers takes for a tensor: letters, digits and `-._/`, the first a letter or digit.
 * It looks weights up by the names of their layers, wherever these stand.
 */
export function uniqueNames(): (wanted: string) => string {
  const taken = new Set<string>();
  return (wanted) => {
    const valid = wanted.replace(/[^-\w./]/g, "_").replace(/^[^A-Za-z0-9]+/, "") || "layer";
    let name = valid;
    for (let count = 1; taken.has(name); count += 1) name = `${valid}_${count}`;
    taken.add(name);
    return name;
  };
}
