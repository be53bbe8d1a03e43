/**
 * What happens where stdout or stderr can no longer be written. Nothing that a command computes is lost to it: a reader that goes
 * away ends the command only where it `needsReader`, and anything else (a full disk) is said once and makes the exit code 1.
 */
export function watchOutput({ needsReader }: { readonly needsReader: boolean }): void {
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    process.stdout.on("error", () => {});
    if (error.code !== "EPIPE") {
      process.exitCode = 1;
      process.stderr.write(`standard output: cannot be written: ${error.message}.\n`);
    } else if (needsReader) process.exit(0);
  });
  // Nobody is left to tell.
  process.stderr.on("error", () => {});
}
