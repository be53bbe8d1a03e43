import { MachineError } from "../errors.ts";

/** The versions of the picture decoder. @throws {MachineError} where it does not load. */
export async function decoderInfo(): Promise<{ readonly sharp: string; readonly libvips: string }> {
  try {
    const { default: sharp } = await import("sharp");
    return { sharp: sharp.versions.sharp ?? "unknown", libvips: sharp.versions.vips };
  } catch (error) {
    throw new MachineError(
      `sharp: expected the picture decoder to load, got "${(error as Error).message.split("\n")[0]}". Run npm install again.`,
      "decoder",
    );
  }
}
