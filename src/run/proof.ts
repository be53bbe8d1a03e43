import { createHash } from "node:crypto";
import type { Weights } from "../checkpoint.ts";
import type { Callback, TrainingRun } from "../training/callbacks/callback.ts";
import type { CallbackState } from "../training/state.ts";

/** The sha256 of every frozen weight before and after training, in hexadecimal. */
export interface Proof {
  /** True if every one of them is the same. */
  readonly unchanged: boolean;
  readonly weights: readonly { readonly name: string; readonly before: string; readonly after: string }[];
}

/** The sha256 of each weight that training must not move, by `layer/weight`. */
export type WeightHashes = ReadonlyMap<string, string>;

/** Returns the hashes of all weights except those that `moving` names, by layer path. */
export function hashFrozenWeights(
  weights: Weights,
  moving: ReadonlyMap<string, ReadonlySet<string>>,
): WeightHashes {
  const hashes = new Map<string, string>();
  for (const [path, layer] of weights) {
    for (const weight of layer) {
      if (moving.get(path)?.has(weight.name)) continue;
      const { buffer, byteOffset, byteLength } = weight.data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      hashes.set(`${path}/${weight.name}`, createHash("sha256").update(bytes).digest("hex"));
    }
  }
  return hashes;
}

/** Sets the hashes before and after training side by side. */
export function proofOf(before: WeightHashes, after: WeightHashes): Proof {
  const weights = [...before].map(([name, hash]) => ({ name, before: hash, after: after.get(name) ?? "" }));
  return { unchanged: weights.every((weight) => weight.before === weight.after), weights };
}

/** The proof of one phase, with the epochs that it trained, counted from 1 over all phases. */
export interface PhaseProof {
  /** Counted from 1. */
  readonly phase: number;
  readonly from: number;
  readonly to: number;
  readonly proof: Proof;
}

/** Keeps what proves of each phase that its frozen weights did not move. */
export interface ProofKeeper {
  /** One for each phase that was trained. */
  readonly phases: () => readonly PhaseProof[];
  /** Callback of the run that carries the proofs of earlier phases over a stop. */
  readonly callback: Callback;
  /** Returns the callback of a phase; `before` are the weights that it begins with. */
  ofPhase(
    number: number,
    before: Weights,
    movedNames: () => ReadonlyMap<string, ReadonlySet<string>>,
  ): Callback;
}

interface Opened {
  readonly from: number;
  to: number;
  readonly hashes: WeightHashes;
  proof: Proof | null;
}

/** `weightsAfter` returns the weights of the model with those that training has moved. */
export function proofKeeper(weightsAfter: (run: TrainingRun) => Weights): ProofKeeper {
  const phases = new Map<number, Opened>();
  return {
    phases: () =>
      [...phases].flatMap(([phase, { from, to, proof }]) =>
        proof && to >= from ? [{ phase, from, to, proof }] : [],
      ),
    callback: {
      name: "proof",
      state: () =>
        [...phases].map(([number, { from, to, hashes, proof }]) => ({
          ...{ number, from, to, hashes: [...hashes] },
          proof: proof as unknown as CallbackState,
        })),
      restore: (state) => {
        for (const kept of state as unknown as readonly (Omit<Opened, "hashes"> & Kept)[]) {
          const { number, hashes, ...rest } = kept;
          phases.set(number, { ...rest, hashes: new Map(hashes) });
        }
      },
    },
    ofPhase: (number, before, movedNames) => ({
      name: `proof of phase ${number}`,
      begin: ({ history }) => {
        if (phases.has(number)) return;
        const from = history.length + 1;
        phases.set(number, { from, to: from - 1, hashes: hashFrozenWeights(before, new Map()), proof: null });
      },
      epochEnd: ({ epoch }) => {
        const phase = phases.get(number);
        if (phase) phase.to = epoch;
      },
      end: (run) => {
        const phase = phases.get(number);
        if (!phase) return;
        const after = hashFrozenWeights(weightsAfter(run), movedNames());
        phase.proof = proofOf(new Map([...phase.hashes].filter(([name]) => after.has(name))), after);
      },
    }),
  };
}

interface Kept {
  readonly number: number;
  readonly hashes: readonly (readonly [name: string, hash: string])[];
}
