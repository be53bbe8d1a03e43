import type { Architecture } from "./architecture.ts";
import { resnet50 } from "./resnet50.ts";

const architectures: ReadonlyMap<string, Architecture> = new Map(
  [resnet50].map((architecture) => [architecture.name, architecture]),
);

/** The architecture of that name (`resnet50`), undefined for one that is not known. */
export function architectureOf(name: string): Architecture | undefined {
  return architectures.get(name.toLowerCase());
}

export function architectureNames(): readonly string[] {
  return [...architectures.keys()];
}

/** The architecture whose layers these are. */
export function recogniseArchitecture(fileLayers: readonly string[]): Architecture | undefined {
  return [...architectures.values()].find((architecture) => architecture.recognises(fileLayers));
}
