import { csvField } from "../cli-api.ts";
import type { FilePrediction, OutputPrediction } from "../index.ts";
import { UsageError } from "../index.ts";

type Row = readonly (string | number)[];

/** Returns a function that makes the csv lines of one prediction after the other; the first begins with the names of the columns. */
export function csvRows(): (result: FilePrediction) => readonly string[] {
  let isFirst = true;
  return (result) => {
    const { columns, rows } = tableOf(result);
    const lines = rows.map((row) => [result.path, ...row]);
    const all: readonly Row[] = isFirst ? [["path", ...columns], ...lines] : lines;
    isFirst = false;
    return all.map((row) => row.map((field) => csvField(String(field))).join(","));
  };
}

const classColumns = ["label", "index", "probability"];

/** Returns the rows of a file: one for each class or label, or one with its values. A file without any label has a row of empty fields. */
function tableOf(result: FilePrediction): {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
} {
  if ("answer" in result) {
    return {
      columns: result.answer.length === 1 ? ["answer"] : result.answer.map((_, index) => `answer_${index}`),
      rows: [result.answer],
    };
  }
  if ("masks" in result) throw noTable();
  if ("values" in result) {
    const entries = Object.entries(result.values).flatMap(([name, value]) =>
      typeof value === "number"
        ? [[name, value] as const]
        : value.map((one, index) => [`${name}_${index}`, one] as const),
    );
    return { columns: entries.map(([name]) => name), rows: [entries.map(([, value]) => value)] };
  }
  if ("predictions" in result) return { columns: classColumns, rows: classRows(result) };
  const rows = Object.entries(result.outputs).flatMap(([name, own]) => outputRows(name, own));
  return { columns: ["output", ...classColumns, "value"], rows };
}

function classRows({ predictions }: Extract<OutputPrediction, { predictions: unknown }>): readonly Row[] {
  if (predictions.length === 0) return [["", "", ""]];
  return predictions.map(({ label, index, probability }) => [label, index, probability]);
}

function outputRows(name: string, own: OutputPrediction): readonly Row[] {
  if ("mask" in own || "masks" in own) throw noTable();
  if ("predictions" in own) return classRows(own).map((row) => [name, ...row, ""]);
  return [own.value].flat().map((value, index) => [name, "", index, "", value]);
}

function noTable(): UsageError {
  return new UsageError(
    "--csv: expected classes or values, got a mask for each file. Use --jsonl.",
    "csv-mask",
    "csv",
  );
}
