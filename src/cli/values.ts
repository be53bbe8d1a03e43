import { cutNamed } from "../cli-api.ts";
import type { ReadText } from "./flag.ts";

/** Reads a decimal number: `3`, `-1`, `1e-4`. */
export const number: ReadText = (text) =>
  /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : text;

/** Reads pixels: `224` for a square, `200x300` for height by width. */
export const imageSize: ReadText = (text, refuse) => {
  const [, height, width] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (height === undefined) throw refuse("pixels such as 224, or height x width such as 200x300");
  return width === undefined ? Number(height) : [Number(height), Number(width)];
};

const byteUnits: Readonly<Record<string, number>> = { "": 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** Reads a size in bytes: `10GB`, `500 MB`, `1.5GB`, or a plain number. */
export const byteSize: ReadText = (text, refuse) => {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmgt]?b)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(count) * (byteUnits[unit.toUpperCase()] ?? Number.NaN));
  if (count !== undefined && bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
  throw refuse("a size such as 500MB or 10GB");
};

/** Reads `balanced`, or `cat=2,dog=0.5` by class name or index. */
export const classWeight: ReadText = (text, refuse) => {
  if (text === "balanced") return text;
  const pairs = text.split(",").map((pair) => /^\s*(.+)=\s*(\S+)\s*$/.exec(pair));
  const weights = pairs.map((pair): [string, number] => [pair?.[1]?.trim() ?? "", Number(pair?.[2])]);
  if (weights.every(([name, weight]) => name && weight > 0 && Number.isFinite(weight))) {
    return Object.fromEntries(weights);
  }
  throw refuse("balanced, or weights above 0 such as cat=2,dog=0.5");
};

/** Reads a Keras object: its name, or its config as JSON, `{"class_name": "Adam", "config": {"beta_1": 0.8}}`. */
export const nameOrJson: ReadText = (text, refuse) => {
  if (!text.trimStart().startsWith("{")) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw refuse('a name, or JSON such as {"class_name": "Adam", "config": {}}');
  }
};

/** Reads names between commas as they are written, or the JSON of layers. */
export const listOrJson: ReadText = (text, refuse) => {
  if (text.trim() === "") throw refuse("names such as flip,rotate=10");
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw refuse(
      'names such as flip,rotate=10, or JSON such as [{"class_name": "RandomFlip", "config": {}}]',
    );
  }
};

/** Reads names between commas: `accuracy,auc`. */
export const names: ReadText = (text) => text.split(",").map((name) => name.trim());

/** Names of a phase's options as they are written, and what reads them. */
const phaseOptions: Readonly<Record<string, readonly [option: string, read: ReadText]>> = {
  epochs: ["epochs", number],
  lr: ["learningRate", number],
  schedule: ["schedule", nameOrJson],
  warmup: ["warmup", number],
};

/** Reads a phase: `head epochs=3 lr=1e-3`, `conv4 epochs=5 lr=1e-4 schedule=cosine warmup=0.1`. */
export const phase: ReadText = (text, refuse) => {
  const [cut, ...words] = text.trim().split(/\s+(?=[a-z]+=)/);
  const expected = `a cut with its options, such as "head epochs=3 lr=1e-3", options among ${Object.keys(phaseOptions).join(", ")}`;
  if (!cut || cut.includes("=")) throw refuse(expected);
  const entries = words.map((word) => {
    const [name = "", ...rest] = word.split("=");
    const known = phaseOptions[name];
    if (!known) throw refuse(expected);
    return [known[0], known[1](rest.join("="), refuse)] as const;
  });
  return { freeze: cutNamed(cut), ...Object.fromEntries(entries) };
};
