/** @file Values of a step that are kept as one matrix. */
import type { GraphNode } from "./graph-messages.ts";
import { dataType } from "./graph-messages.ts";
import type { Recorder } from "./recorded-operations.ts";
import { constantNode } from "./recorded-operations.ts";

export interface Packing {
  /** The values that are kept as one. */
  readonly members: readonly string[];
  /** The name of the value that holds them, if there is one. */
  readonly names: readonly string[];
  readonly pack: readonly GraphNode[];
  readonly unpack: readonly GraphNode[];
  readonly constants: readonly GraphNode[];
  /** Returns the shape of a value, also of the one that holds others. */
  readonly shapeOf: (name: string) => readonly number[];
  /** Returns the name of a value behind `unpack`. */
  readonly unpacked: (name: string) => string;
}

/** Joins the matrices of a step among `names` to one: a list of one large matrix takes less time than several lists. */
export function packing(names: readonly string[], { typeOf, shapeOf }: Recorder): Packing {
  const [first] = names.filter((name) => typeOf(name) === dataType.float && shapeOf(name).length === 2);
  const rows = (first === undefined ? undefined : shapeOf(first)[0]) ?? 0;
  const members = names.filter(
    (name) => typeOf(name) === dataType.float && shapeOf(name).length === 2 && shapeOf(name)[0] === rows,
  );
  if (members.length < 2) {
    return { members: [], names: [], pack: [], unpack: [], constants: [], shapeOf, unpacked: (name) => name };
  }
  const widths = Int32Array.from(members, (name) => shapeOf(name)[1] ?? 0);
  const [float, int32] = [{ type: dataType.float }, { type: dataType.int32 }];
  const count = { i: members.length };
  return {
    members,
    names: ["pack"],
    shapeOf: (name) =>
      name === "pack" ? [rows, widths.reduce((sum, width) => sum + width, 0)] : shapeOf(name),
    constants: [
      constantNode("pack/axis", dataType.int32, [], Int32Array.of(1)),
      constantNode("pack/widths", dataType.int32, [members.length], widths),
    ],
    pack: [
      {
        name: "pack",
        op: "ConcatV2",
        input: [...members, "pack/axis"],
        attr: { N: count, T: float, Tidx: int32 },
      },
    ],
    unpack: [
      {
        name: "unpack",
        op: "SplitV",
        input: ["pack", "pack/widths", "pack/axis"],
        attr: { num_split: count, T: float, Tlen: int32 },
      },
    ],
    unpacked: (name) => {
      const place = members.indexOf(name);
      return place < 0 ? name : `unpack:${place}`;
    },
  };
}
