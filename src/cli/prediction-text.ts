import type { SavedMask } from "../cli-api.ts";
import type {
  ClassProbability,
  FilePrediction,
  OutputPrediction,
  SamplePrediction,
  Tensor,
} from "../index.ts";
import { columns } from "./columns.ts";

/** A prediction with the path of the image that explains it, where there is one. */
export type ShownPrediction = FilePrediction & { readonly explained?: string };

/** The files of masks, by the predicted path and the output. */
export type MaskFiles = ReadonlyMap<string, SavedMask>;

function maskFile(files: MaskFiles, path: string, output: string): string | undefined {
  return files.get(`${path}\n${output}`)?.file;
}

/** Returns a prediction as JSON has it: a mask is the path of its file, or its shape and classes where no file was asked for. */
export function withPlainMasks(result: ShownPrediction, files: MaskFiles): unknown {
  const plain = (output: string, { shape, data }: Tensor): unknown =>
    maskFile(files, result.path, output) ?? { shape, data: Array.from(data, Number) };
  if ("masks" in result) {
    const masks = Object.entries(result.masks).map(([name, mask]) => [name, plain(name, mask)]);
    return { ...result, masks: Object.fromEntries(masks) };
  }
  if (!("outputs" in result)) return result;
  const outputs = Object.entries(result.outputs).map(([name, own]) => {
    if ("mask" in own) return [name, { mask: plain(name, own.mask) }];
    if (!("masks" in own)) return [name, own];
    const masks = Object.entries(own.masks).map(([label, mask]) => [label, plain(`${name}/${label}`, mask)]);
    return [name, { masks: Object.fromEntries(masks) }];
  });
  return { ...result, outputs: Object.fromEntries(outputs) };
}

/** Returns a prediction as a person reads it. */
export function predictionLines(result: ShownPrediction, files: MaskFiles): string[] {
  const { path, explained } = result;
  const lines =
    "answer" in result
      ? result.answer.map((name) => `  ${name}`)
      : saidLines(result, (name, mask) => maskText(name, mask, maskFile(files, path, name)));
  return [path, ...lines, ...(explained === undefined ? [] : [`  explained by ${explained}`])];
}

function saidLines(
  said: SamplePrediction,
  textOf: (name: string, mask: Tensor) => string,
): readonly string[] {
  if ("predictions" in said) return probabilityLines(said.predictions);
  if ("values" in said) return valueLines(said.values);
  if ("masks" in said) return Object.entries(said.masks).map(([name, mask]) => textOf(name, mask));
  return Object.entries(said.outputs).flatMap(([name, own]) => outputLines(name, own, textOf));
}

function outputLines(
  name: string,
  own: OutputPrediction,
  textOf: (name: string, mask: Tensor) => string,
): readonly string[] {
  if ("value" in own) return valueLines({ [name]: own.value });
  if ("mask" in own) return [textOf(name, own.mask)];
  if ("masks" in own)
    return Object.entries(own.masks).map(([label, mask]) => textOf(`${name}/${label}`, mask));
  return [`  ${name}`, ...probabilityLines(own.predictions).map((line) => `  ${line}`)];
}

function probabilityLines(predictions: readonly ClassProbability[]): readonly string[] {
  if (predictions.length === 0) return ["  no label is over the threshold"];
  return columns(predictions.map(({ label, probability }) => [`  ${label}`, probability.toFixed(4)]));
}

function valueLines(values: Readonly<Record<string, number | readonly number[]>>): readonly string[] {
  const text = (value: number): string => String(Number(value.toPrecision(6)));
  const rows = Object.entries(values).map(([name, value]) => [
    `  ${name}`,
    typeof value === "number" ? text(value) : value.map(text).join(" "),
  ]);
  return columns(rows);
}

/** Tells the share of each class in a mask of an image, or the classes of a sequence, and the file that a mask was written to. */
function maskText(name: string, { shape, data }: Tensor, file: string | undefined): string {
  const classes = Array.from(data, Number);
  if (shape.length < 2) return `  ${name}: ${classes.join(" ")}`;
  const counts = new Map<number, number>();
  for (const value of classes) counts.set(value, (counts.get(value) ?? 0) + 1);
  const shares = [...counts]
    .sort(([a], [b]) => a - b)
    .map(([value, count]) => `${value} on ${((100 * count) / classes.length).toFixed(1)}%`);
  return `  ${name}: ${shape.join("x")}, class ${shares.join(", ")}${file === undefined ? "" : ` in ${file}`}`;
}
