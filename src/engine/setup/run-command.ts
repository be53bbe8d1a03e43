import { spawn } from "node:child_process";
import { MachineError } from "../../errors.ts";

/** The exit status and output of a program. */
export interface CommandOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and collects its output. Returns undefined if there is no such program. */
export function tryCommand(
  program: string,
  parameters: readonly string[],
  folder?: string,
  onOutput: (text: string) => void = () => {},
): Promise<CommandOutput | undefined> {
  return new Promise((resolve, reject) => {
    // npm is a script on Windows, which only a shell starts.
    const shell = process.platform === "win32" && program === "npm";
    const child = spawn(program, parameters, { cwd: folder, shell, stdio: ["ignore", "pipe", "pipe"] });
    const written = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => {
      written.stdout += chunk;
      onOutput(chunk.toString());
    });
    child.stderr.on("data", (chunk: Buffer) => {
      written.stderr += chunk;
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    child.on("close", (status, signal) => {
      resolve({
        ...written,
        status: status ?? 1,
        stderr: signal ? `${written.stderr}${signal}` : written.stderr,
      });
    });
  });
}

/** Returns the last lines that a failed program wrote, for an error message. */
export function lastLines({ stdout, stderr }: CommandOutput, count = 6): string {
  return (stderr.trim() || stdout.trim()).split("\n").slice(-count).join("\n");
}

/**
 * Runs a program that must succeed.
 * @throws {MachineError} with `code` if the program is missing (then with `missing`) or fails.
 */
export async function runCommand(
  what: string,
  program: string,
  parameters: readonly string[],
  options: {
    readonly code: string;
    readonly missing: string;
    readonly failed: string;
    readonly folder?: string;
    /** Called with each piece of the program's output. */
    readonly onOutput?: (text: string) => void;
  },
): Promise<CommandOutput> {
  const output = await tryCommand(program, parameters, options.folder, options.onOutput);
  if (!output)
    throw new MachineError(
      `${what}: expected ${program} on the PATH, got none. ${options.missing}`,
      options.code,
    );
  if (output.status !== 0) {
    throw new MachineError(
      `${what}: expected ${program} to succeed, got exit code ${output.status}. ${options.failed}\n${lastLines(output)}`,
      options.code,
    );
  }
  return output;
}
