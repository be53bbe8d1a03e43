import { createHash } from "node:crypto";
import type { StringTensor } from "../tensor.ts";
import { readFileBytes } from "./file-bytes.ts";
import { textFiles } from "./file-kind.ts";
import { sniffFormat } from "./picture-format.ts";
import type { BadFile, LoadedSample, SampleReader } from "./sample-reader.ts";

const maxFileBytes = 64 * 1024 * 1024;

/** Texts as they are in their files, `[N, …sampleShape]`. @param sampleShape `[]` or `[1]` */
export function textReader(sampleShape: readonly number[]): SampleReader<string, StringTensor> {
  return {
    kind: textFiles,
    sampleShape,
    identity: async () => ({ encoding: "utf-8", sampleShape: [...sampleShape] }),
    load: readText,
    open: () => {
      const texts: string[] = [];
      return {
        set: (row, text) => {
          texts[row] = text;
        },
        finish: (count) => ({ dtype: "string", shape: [count, ...sampleShape], data: texts }),
      };
    },
  };
}

/** A byte order mark stays, as in Keras, where it is part of the first word. */
async function readText(path: string): Promise<LoadedSample<string> | BadFile> {
  const bytes = await readFileBytes(path, maxFileBytes);
  if (typeof bytes === "string") return { path, reason: bytes };
  if (bytes.length === 0) return { path, reason: "the file is empty." };
  try {
    const value = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const contentHash = createHash("sha256").update(bytes).digest("hex");
    return { value, contentHash, rotated: false, mislabelled: false };
  } catch {
    return { path, reason: notUtf8(bytes) };
  }
}

function notUtf8(bytes: Buffer): string {
  const picture = sniffFormat(bytes);
  if (picture) return `not a text: expected UTF-8, got a ${picture.toUpperCase()} picture.`;
  const wide = /^(\xff\xfe|\xfe\xff)/.test(bytes.subarray(0, 2).toString("latin1"));
  return `not a text in UTF-8: got ${wide ? "UTF-16" : "other bytes"}. Save it as UTF-8.`;
}
