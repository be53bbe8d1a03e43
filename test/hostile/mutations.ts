/** @file Damage to files, drawn from a seed: to any bytes, and to what a format's readers trust most. */
import { strToU8, unzipSync, zipSync } from "fflate";
import { randomGenerator, seedOf } from "../../src/random.ts";

/** Format of a seed file, which decides how it is damaged and what reads it. */
export type Kind =
  | "h5"
  | "keras"
  | "json"
  | "weights"
  | "image"
  | "csv"
  | "jsonl"
  | "preset"
  | "sharded"
  | "onnx"
  | "mask";

export interface Mutant {
  readonly bytes: Uint8Array;
  /** Words that say what was done, for a report. */
  readonly damage: string;
}

type Draw = (below: number) => number;
type Mutation = (bytes: Buffer, draw: Draw) => readonly [bytes: Uint8Array, damage: string];

/** Values at the edges of what lengths, offsets and counts can be. */
const edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Mutations of any file. */
const anyBytes: readonly Mutation[] = [
  (bytes, draw) => {
    const count = 1 + draw(8);
    const places = Array.from({ length: count }, () => draw(bytes.length));
    for (const at of places) bytes[at] = draw(256);
    return [bytes, `bytes at ${places.join(", ")}`];
  },
  (bytes, draw) => {
    const at = draw(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8));
    return [bytes, `a bit at ${at}`];
  },
  (bytes, draw) => {
    const length = draw(bytes.length);
    return [bytes.subarray(0, length), `cut to ${length} bytes`];
  },
  (bytes, draw) => {
    const [from, size] = [draw(bytes.length), 1 + draw(512)];
    bytes.fill(draw(2) === 0 ? 0 : 0xff, from, Math.min(from + size, bytes.length));
    return [bytes, `${size} bytes blank at ${from}`];
  },
  (bytes, draw) => {
    const [from, size, to] = [draw(bytes.length), 1 + draw(256), draw(bytes.length)];
    bytes.copy(bytes, to, from, Math.min(from + size, bytes.length));
    return [bytes, `${size} bytes of ${from} again at ${to}`];
  },
  (bytes, draw) => {
    const [at, size] = [draw(bytes.length), 1 + draw(64)];
    return [Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]), `${size} bytes gone at ${at}`];
  },
  (bytes, draw) => {
    const at = draw(bytes.length);
    const more = Buffer.from(Array.from({ length: 1 + draw(64) }, () => draw(256)));
    return [
      Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]),
      `${more.length} bytes put in at ${at}`,
    ];
  },
  (bytes, draw) => {
    const value = edges[draw(edges.length)] ?? 0;
    const at = draw(Math.max(1, bytes.length - 8));
    if (bytes.length < 8) return [bytes, "nothing"];
    bytes.writeUInt32LE(value, at);
    if (draw(2) === 0) bytes.writeUInt32LE(draw(2) === 0 ? 0 : 0xffffffff, at + 4);
    return [bytes, `length ${value} at ${at}`];
  },
];

/** Places of the structures that HDF5 readers follow: signatures of headers, heaps, trees and nodes. */
const h5Signatures = ["\x89HDF", "TREE", "HEAP", "SNOD", "OHDR", "FRHP", "FHDB", "BTHD", "GCOL", "OCHK"];

const h5: Mutation = (bytes, draw) => {
  const text = bytes.toString("latin1");
  const places = h5Signatures.flatMap((signature) => {
    const at = text.indexOf(signature, draw(text.length));
    return at < 0 ? [] : [at];
  });
  const start = places[draw(Math.max(1, places.length))] ?? 0;
  const at = Math.min(start + draw(64), bytes.length - 8);
  const inside = [draw(bytes.length), start, bytes.length, bytes.length + 1, ...edges];
  const value = inside[draw(inside.length)] ?? 0;
  bytes.writeBigUInt64LE(BigInt(value), at);
  return [bytes, `address or count ${value} at ${at}`];
};

/** Damage of JSON that stays JSON: numbers, depth, types, keys. */
const json: Mutation = (bytes, draw) => {
  const text = bytes.toString("utf8");
  const numbers = [
    "2147483648",
    "-1",
    "1e309",
    "NaN",
    "-Infinity",
    "1.5",
    "null",
    '"7"',
    "[]",
    "99999999999999999999",
  ];
  const number = numbers[draw(numbers.length)] ?? "null";
  const choices: readonly (() => readonly [string, string])[] = [
    () => [swapOne(text, /(?<=[:[,]\s*)-?\d+(?:\.\d+)?/g, number, draw), `a number is ${number}`],
    () => [swapOne(text, /"(?:[^"\\]|\\.)*"(?=\s*:)/g, '"constructor"', draw), "a key is constructor"],
    () => [swapOne(text, /"(?:[^"\\]|\\.)*"(?=\s*:)/g, '"__proto__"', draw), "a key is __proto__"],
    () => [swapOne(text, /(?<=:\s*)"(?:[^"\\]|\\.)*"/g, "{}", draw), "a text is a record"],
    () => [
      swapOne(text, /(?<=:\s*)"(?:[^"\\]|\\.)*"/g, '"../../../../etc/passwd"', draw),
      "a text is a path",
    ],
    () => [swapOne(text, /(?<=:\s*)(?:true|false|null)/g, "[[]]", draw), "a constant is a list"],
    () => [swapOne(text, /\[\]|\{\}|null/g, "[".repeat(10_000) + "]".repeat(10_000), draw), "10,000 deep"],
    () => [
      swapOne(text, /\[\]|\{\}|null/g, `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`, draw),
      "10,000 deep records",
    ],
  ];
  const [changed, damage] = choices[draw(choices.length)]?.() ?? [text, "nothing"];
  return [strToU8(changed), damage];
};

function swapOne(text: string, what: RegExp, by: string, draw: Draw): string {
  const found = [...text.matchAll(what)];
  const match = found[draw(Math.max(1, found.length))];
  if (!match) return text;
  return text.slice(0, match.index) + by + text.slice(match.index + match[0].length);
}

/** Archives that are whole, with contents that are not what they should be. */
const archive: Mutation = (bytes, draw) => {
  const entries = unzipSync(bytes);
  const names = Object.keys(entries);
  const name = names[draw(names.length)] ?? "config.json";
  const choices: readonly (() => readonly [Record<string, Uint8Array>, string])[] = [
    () => {
      const [config = "config.json"] = names.filter((each) => each.endsWith(".json"));
      const [changed, damage] = json(Buffer.from(entries[config] ?? []), draw);
      return [{ ...entries, [config]: changed }, `${config}: ${damage}`];
    },
    () => {
      const [weights = ""] = names.filter((each) => each.endsWith(".h5"));
      const mutation = draw(2) === 0 ? h5 : (anyBytes[draw(anyBytes.length)] ?? h5);
      const [changed, damage] = mutation(Buffer.from(entries[weights] ?? new Uint8Array(16)), draw);
      return [{ ...entries, [weights]: changed }, `${weights}: ${damage}`];
    },
    () => [{ ...entries, [`../../${name}`]: entries[name] ?? new Uint8Array() }, "an entry outside"],
    () => [{ ...entries, "/etc/passwd": strToU8("x") }, "an entry at an absolute path"],
    () => [{ ...entries, [name]: new Uint8Array(200e6) }, `${name} unpacks to 200 MB of zeros`],
    () => [
      Object.fromEntries(Object.entries(entries).filter(([each]) => each !== name)),
      `${name} is missing`,
    ],
    () => [{ ...entries, [name]: new Uint8Array() }, `${name} is empty`],
  ];
  const [changed, damage] = choices[draw(choices.length)]?.() ?? [entries, "nothing"];
  return [zipSync(changed, { level: draw(2) === 0 ? 0 : 6 }), damage];
};

const csv: Mutation = (bytes, draw) => {
  const lines = bytes.toString("utf8").split("\n");
  const at = draw(lines.length);
  const cells = (lines[at] ?? "").split(",");
  const values = [
    '"',
    '"a\n',
    "\0",
    "NaN",
    "1e999",
    "-",
    "x".repeat(1e6),
    ",,,,",
    "'; --",
    "../../etc/passwd",
    "\ufeff",
    "=1+1",
  ];
  cells[draw(cells.length)] = values[draw(values.length)] ?? "";
  lines[at] = cells.join(",");
  return [strToU8(lines.join("\n")), `line ${at + 1}`];
};

const own: Readonly<Record<Kind, readonly Mutation[]>> = {
  h5: [h5, h5, h5, h5],
  keras: [archive, archive, archive, archive, archive, archive],
  json: [json, json, json, json, json, json],
  weights: [],
  image: [],
  csv: [csv, csv, csv, csv],
  jsonl: [json, json, json, csv],
  preset: [],
  sharded: [],
  onnx: [],
  mask: [],
};

/** Returns the `index`-th mutant of a file: the same for the same seed, on any machine. The bytes given stay as they are. */
export function mutantOf(kind: Kind, bytes: Uint8Array, seed: string, index: number): Mutant {
  const { nextInteger } = randomGenerator(seedOf(`${seed} ${index}`));
  const draw: Draw = (below) => nextInteger() % below;
  const all = [...anyBytes, ...own[kind]];
  const mutation = all[draw(all.length)] ?? (anyBytes[0] as Mutation);
  const [changed, damage] = mutation(Buffer.from(bytes), draw);
  return { bytes: changed, damage };
}
