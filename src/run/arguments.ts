import { createHash } from "node:crypto";
import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import type { InputTensor } from "../tensor.ts";
import type { DecidedSettings } from "./decided-settings.ts";
import type { AskedOptions } from "./kept-arguments.ts";
import type { RunSettings } from "./settings.ts";

/**
 * Returns the settings of a run as args.json keeps them: every option as it was decided, in JSON. A checkpoint or a dataset is
 * told by its sha256; functions and the signal are left out.
 */
export function argumentsOf(settings: DecidedSettings): Readonly<Record<string, unknown>> {
  const { model, data, callbacks: _callbacks, onProgress: _progress, signal: _signal, ...plain } = settings;
  return {
    model: typeof model === "string" ? model : { sha256: checkpointHash(model) },
    data: typeof data === "string" ? data : { sha256: datasetHash(data) },
    ...plain,
  };
}

/** Returns the options that are not left to their defaults. The signal and the progress listener are nobody's but the call's. */
export function askedOptions(settings: RunSettings): AskedOptions {
  const { signal: _signal, onProgress: _progress, callbacks, ...options } = settings;
  const given = Object.entries(options).filter(([, value]) => value !== null && value !== "auto");
  const again = given.filter(([name, value]) => !isPlain(name, value)).map(([name]) => name);
  return {
    asked: Object.fromEntries(given.filter(([name]) => !again.includes(name))),
    again: callbacks.length > 0 ? [...again, "callbacks"] : again,
  };
}

/** Tells if JSON holds the value of an option whole. */
function isPlain(name: string, value: unknown): boolean {
  if (name === "model" || name === "data") return typeof value === "string";
  if (typeof value === "function") return false;
  return typeof value !== "object" || value === null || Object.values(value).every((one) => isPlain("", one));
}

/** Returns the sha256 of a checkpoint's config and weights. */
export function checkpointHash({ modelConfig, weights }: Checkpoint): string {
  const hash = createHash("sha256").update(JSON.stringify(modelConfig));
  for (const [path, layer] of weights) {
    for (const weight of layer) {
      hash.update(`\0${path}/${weight.name}`);
      addTensor(hash, weight);
    }
  }
  return hash.digest("hex");
}

/** Returns the sha256 of a dataset: of its arrays, or of the paths, splits and labels of its files. */
export function datasetHash(dataset: Dataset): string {
  const hash = createHash("sha256");
  const text = gatheredText(hash);
  add(hash, text, dataset);
  text.flush();
  return hash.digest("hex");
}

/** Text that goes into a hash in long pieces. */
interface GatheredText {
  add(text: string): void;
  flush(): void;
}

function gatheredText(hash: ReturnType<typeof createHash>): GatheredText {
  let gathered = "";
  const flush = (): void => {
    hash.update(gathered);
    gathered = "";
  };
  return {
    add(text) {
      gathered += text;
      if (gathered.length > 1 << 16) flush();
    },
    flush,
  };
}

/** Adds a value, tensors by their bytes and everything else as JSON writes it. */
function add(hash: ReturnType<typeof createHash>, text: GatheredText, value: unknown): void {
  if (isTensor(value)) {
    text.flush();
    addTensor(hash, value);
  } else if (typeof value === "object" && value !== null) {
    for (const name of Object.keys(value)) {
      text.add(`\0${name}`);
      add(hash, text, (value as Readonly<Record<string, unknown>>)[name]);
    }
  } else {
    text.add(`\0${JSON.stringify(value) ?? String(value)}`);
  }
}

function isTensor(value: unknown): value is InputTensor {
  return (
    typeof value === "object" && value !== null && "dtype" in value && "shape" in value && "data" in value
  );
}

function addTensor(hash: ReturnType<typeof createHash>, { dtype, shape, data }: InputTensor): void {
  hash.update(`\0${dtype}${JSON.stringify(shape)}`);
  if (ArrayBuffer.isView(data)) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  else hash.update(JSON.stringify(data));
}
