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
  /** Hashes of every weight before the phase. */
  readonly hashes: WeightHashes;
  /** Names of the weights that the phase moves, by layer path; null before its first epoch has ended. */
  moving: ReadonlyMap<string, ReadonlySet<string>> | null;
  proof: Proof | null;
}

/** Returns the hashes of a model's weights except those that `moving` names. */
type HashesBut = (moving: ReadonlyMap<string, ReadonlySet<string>>) => WeightHashes;

/** Returns a keeper of proofs. `hashesAfter` hashes the weights of the model with those that training has moved. */
export function proofKeeper(hashesAfter: (run: TrainingRun) => HashesBut): ProofKeeper {
  const phases = new Map<number, Opened>();
  /** Proves the phases that have ended without it: a run that was stopped between a phase and its proof. */
  const proveOthers = (present: number, hashesBut: HashesBut): void => {
    for (const [number, phase] of phases) {
      if (number === present || phase.proof || !phase.moving) continue;
      phase.proof = proofBetween(phase.hashes, hashesBut(phase.moving));
    }
  };
  return {
    phases: () =>
      [...phases].flatMap(([phase, { from, to, proof }]) =>
        proof && to >= from ? [{ phase, from, to, proof }] : [],
      ),
    callback: {
      name: "proof",
      end: (run) => proveOthers(0, hashesAfter(run)),
      state: () =>
        [...phases].map(([number, { from, to, hashes, moving, proof }]) => ({
          ...{ number, from, to, hashes: [...hashes] },
          moving: moving && [...moving].map(([path, names]) => [path, [...names]]),
          proof: proof as unknown as CallbackState,
        })),
      restore: (state) => {
        for (const { number, hashes, moving, ...rest } of state as unknown as readonly Kept[]) {
          phases.set(number, {
            ...rest,
            hashes: new Map(hashes),
            moving: moving && new Map(moving.map(([path, names]) => [path, new Set(names)])),
          });
        }
      },
    },
    ofPhase: (number, before, movedNames) => ({
      name: `proof of phase ${number}`,
      begin: ({ history }) => {
        proveOthers(number, (moving) => hashFrozenWeights(before, moving));
        if (phases.has(number)) return;
        const from = history.length + 1;
        const hashes = hashFrozenWeights(before, new Map());
        phases.set(number, { from, to: from - 1, hashes, moving: null, proof: null });
      },
      epochEnd: ({ epoch }) => {
        const phase = phases.get(number);
        if (!phase) return;
        phase.to = epoch;
        phase.proof = null;
        phase.moving ??= movedNames();
      },
      end: (run) => {
        const phase = phases.get(number);
        if (!phase) return;
        phase.proof = proofBetween(phase.hashes, hashesAfter(run)(movedNames()));
      },
    }),
  };
}

/** Returns the proof for the weights of `after`. */
function proofBetween(before: WeightHashes, after: WeightHashes): Proof {
  return proofOf(new Map([...before].filter(([name]) => after.has(name))), after);
}

interface Kept {
  readonly number: number;
  readonly from: number;
  readonly to: number;
  readonly hashes: readonly (readonly [name: string, hash: string])[];
  readonly moving: readonly (readonly [path: string, names: readonly string[]])[] | null;
  readonly proof: Proof | null;
}
