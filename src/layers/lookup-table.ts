import type { JsonObject } from "../checkpoint.ts";
import { idfWeightsOf, lookupDepth, type Token, vocabularyOf } from "../topology/specs/lookups.ts";
import { unsupported } from "./kernel.ts";
import { bucketOf, fingerprint, saltOf } from "./numerics/fingerprint.ts";

/** What a lookup layer makes of its vocabulary. */
export interface LookupTable {
  /** @throws {TopologyError} for a token that is not in the vocabulary of a layer without a place for those. */
  readonly indexOf: (token: Token) => number;
  readonly tokenAt: (index: number) => Token;
  /** The width of a row that counts tokens. Masks stand at that index, so that they count nowhere. */
  readonly depth: number;
  /** One for each index below `depth`; empty where there are none. */
  readonly idfWeights: number[];
}

const tables = new WeakMap<JsonObject, LookupTable>();

/** The table of a layer's config, made once. */
export function lookupTable(config: JsonObject): LookupTable {
  const known = tables.get(config);
  if (known) return known;
  const made = makeTable(config);
  tables.set(config, made);
  return made;
}

function makeTable(config: JsonObject): LookupTable {
  const { tokens, masked, unknowns, maskToken, unknownToken } = vocabularyOf(config);
  const first = masked ? 1 : 0;
  const start = first + unknowns;
  const depth = lookupDepth(config);
  const places = new Map<Token, number>(tokens.map((token, index) => [token, start + index]));
  const bucket = unknownBucket(config, unknowns);
  return {
    indexOf: (token) => {
      if (token === maskToken) return masked ? 0 : depth;
      return places.get(token) ?? first + bucket(token);
    },
    tokenAt: (index) =>
      (masked && index === 0 ? maskToken : (tokens[index - start] ?? unknownToken)) as Token,
    depth,
    idfWeights: idfWeightsOf(config),
  };
}

/** Texts are always hashed, whole numbers only where the layer says so. */
function unknownBucket(config: JsonObject, unknowns: number): (token: Token) => number {
  const hashed = config["oov_method"] === "farmhash";
  return (token) => {
    if (unknowns === 0) throw unsupported(`${token}, which is not in the vocabulary,`, "Leave it out.");
    if (unknowns === 1) return 0;
    if (hashed || typeof token === "string") {
      return bucketOf(fingerprint(String(token), saltOf(config)), unknowns);
    }
    return ((token % unknowns) + unknowns) % unknowns;
  };
}
