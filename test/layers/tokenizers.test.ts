import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { tokenizerOf } from "../../src/layers/tokenizers/known-tokenizers.ts";

interface Recorded {
  readonly class_name: string;
  readonly config: JsonObject;
  /** The ids of the first texts, or of all. */
  readonly ids: readonly (readonly number[])[];
}

const path = join(import.meta.dirname, "..", "..", "fixtures", "hub-texts", "tokens.json.gz");
const { texts, tokenizers } = JSON.parse(gunzipSync(readFileSync(path)).toString()) as {
  readonly texts: readonly string[];
  readonly tokenizers: Readonly<Record<string, Recorded>>;
};

describe.each(Object.entries(tokenizers))("the tokenizer %s", (_, { class_name: className, config, ids }) => {
  test("has the ids of KerasHub for every odd text", () => {
    const { encode } = tokenizerOf({ className, config });
    const different = ids.flatMap((expected, index) => {
      const got = encode(texts[index] ?? "");
      return got.join() === expected.join() ? [] : [{ text: texts[index], got, expected }];
    });
    expect(ids.length).toBeGreaterThanOrEqual(200);
    expect(different).toEqual([]);
  });

  test("is refused without a special token", () => {
    const bare = { ...config, vocabulary: Array.isArray(config["vocabulary"]) ? ["[UNK]"] : {}, merges: [] };
    const other = { ...bare, proto: "" };
    expect(() => tokenizerOf({ className, config: other })).toThrow(/special token (\[CLS\]|<s>)/);
  });
});

test("a tokenizer that is not known is refused by its class", () => {
  expect(() => tokenizerOf({ className: "GemmaTokenizer", config: {} })).toThrow(/got GemmaTokenizer/);
});

test("a file that is no model of SentencePiece is refused, and so is one of another algorithm", () => {
  const refused = (bytes: readonly number[]) => () =>
    tokenizerOf({ className: "AlbertTokenizer", config: { proto: Buffer.from(bytes).toString("base64") } });
  expect(refused([0x0f, 0x03])).toThrow(/expected a model of SentencePiece, got other bytes/);
  // A message whose second field says that its third is 2.
  expect(refused([0x12, 0x02, 0x18, 0x02])).toThrow(
    /expected a unigram model of SentencePiece, got one of BPE/,
  );
});
