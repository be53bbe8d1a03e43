import { expect, test } from "vitest";
import type { GraphNode } from "../../../src/engine/graph/graph-messages.ts";
import { inTurn } from "../../../src/engine/graph/turns.ts";

/** Returns nodes from lines like `b: a` (node b reads a) or `loop/x: b` (a node of a loop). */
function nodes(...lines: readonly string[]): GraphNode[] {
  return lines.map((line) => {
    const [name = "", reads = ""] = line.split(":");
    const input = reads.split(" ").filter(Boolean);
    const [from, inside] = name.split("/");
    return { name, op: "Neg", input, attr: {}, ...(inside !== undefined && from !== undefined && { from }) };
  });
}

function waits(...turned: readonly GraphNode[]): Record<string, string[]> {
  const waiting = turned.map(
    ({ name, input }) => [name, input.filter((each) => each.startsWith("^"))] as const,
  );
  return Object.fromEntries(waiting.filter(([, names]) => names.length > 0));
}

test("a node that reads nothing of those before waits for its turn, a backward one for the fourth before it", () => {
  const all = nodes("a: x", "b: a", "c: w", "d: b c", "e: d", "f: a", "g: f", "h: d");
  expect(waits(...inTurn(all, 4, []))).toEqual({ c: ["^a"], e: ["^a"], f: ["^b"], g: ["^c"] });
});

test("a new shape for values waits for nothing, and nothing waits for it", () => {
  const [a, b, ...others] = nodes("a: x", "b: w", "c: a", "d: w");
  if (!a || !b) throw new Error("no nodes");
  expect(waits(...inTurn([a, { ...b, op: "Reshape" }, ...others], 9, []))).toEqual({ d: ["^a"] });
});

test("the loops of a part do not wait for each other, and what follows the part waits for the ends of both", () => {
  const part = ["a: y", "one/loop: a", "b: one/loop", "c: y", "two/loop: c", "d: two/loop"];
  const all = nodes("y: x", ...part, "e: w", "f: e");
  expect(waits(...inTurn(all, 0, [1, 7]))).toEqual({ e: ["^b", "^d"] });
  expect(waits(...inTurn(all, 0, []))).toEqual({});
});
