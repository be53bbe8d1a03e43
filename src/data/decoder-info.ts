import { MachineError } from "../errors.ts";

let loading: Promise<typeof import("sharp")> | undefined;

/**
 * Loads the image decoder on first use: a run on arrays needs none.
 *
 * @throws {MachineError} if it does not load.
 */
export function loadSharp(): Promise<typeof import("sharp")> {
  loading ??= import("sharp").then(
    (module) => {
      // Every image is decoded once, so libvips's cache of operations would hold pixels for nothing.
      module.default.cache(false);
      return module;
    },
    (error: Error) => {
      const message = error.message.split("\n")[0];
      throw new MachineError(
        `sharp: expected the image decoder to load, got "${message}". Run npm install again.`,
        "decoder",
      );
    },
  );
  return loading;
}

/** Returns the versions of the image decoder. @throws {MachineError} if it does not load. */
export async function decoderInfo(): Promise<{ readonly sharp: string; readonly libvips: string }> {
  const { versions } = (await loadSharp()).default;
  return { sharp: versions.sharp ?? "unknown", libvips: versions.vips };
}

/**
 * Returns names and versions of the libraries that decoded pixels depend on, for a cache key.
 *
 * @throws {MachineError} if the decoder does not load.
 */
export async function decoderVersion(): Promise<string> {
  const { versions } = (await loadSharp()).default;
  const codecs = ["mozjpeg", "png", "webp", "tiff", "aom", "heif"] as const;
  return [`vips ${versions.vips}`, ...codecs.map((name) => `${name} ${versions[name]}`)].join(", ");
}
