import { engineHome, installedGpuEngine } from "../../src/engine/home.ts";

/** The reason why the engine's tests cannot run here, undefined if they can. */
export const missing: string | undefined = installedGpuEngine(engineHome())
  ? undefined
  : `the webgpu engine is not in ${engineHome()}: run \`finetune setup --gpu\` first`;
