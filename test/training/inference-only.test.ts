import { expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { createTrainer } from "../../src/training/trainer.ts";

function spectral(): Promise<Checkpoint> {
  return readCheckpoint(new URL("../../fixtures/models/k3-spectral.keras", import.meta.url).pathname);
}

const options = { optimizer: "sgd", loss: "mean_squared_error" } as const;

test("layers that run at inference only are refused by name before any step, all of them at once", async () => {
  await expect(createTrainer(await spectral(), { ...options, freeze: [] })).rejects.toThrow(
    "got spectral_conv (SpectralNormalization), spectral_dense (SpectralNormalization), which run at inference only",
  );
});

test("in the frozen part they run", async () => {
  const frozen = [freeze("spectral_conv", "spectral_dense")];
  const trainer = await createTrainer(await spectral(), { ...options, freeze: frozen });
  trainer.dispose();
});
