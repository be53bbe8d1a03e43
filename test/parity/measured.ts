import { afterAll } from "vitest";

const largest = new Map<string, number>();

/** Keeps the largest value seen for `what`; a test file prints its own when it is done. */
export function measured(what: string, value: number): void {
  largest.set(what, Math.max(value, largest.get(what) ?? 0));
}

afterAll(() => {
  if (largest.size === 0) return;
  const width = Math.max(...[...largest.keys()].map((what) => what.length));
  const lines = [...largest].map(([what, value]) => `${what.padEnd(width)}  ${value.toExponential(1)}`);
  console.info(`largest differences from Keras\n${lines.join("\n")}`);
});
