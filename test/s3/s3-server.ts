/** A real S3 server on this machine, and buckets in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { findServer, type ServerProgram } from "./server.mjs";

export interface S3Server {
  readonly program: string;
  /** Environment in which a process finds the server, with the credentials of its owner. */
  readonly env: Readonly<Record<string, string>>;
  /** Folder that holds the objects of a bucket as files. */
  folderOf(bucket: string): string;
  /** Makes a bucket and returns its name. */
  newBucket(): string;
  /** Ends the server at once; what it holds stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. Only versitygw can refuse to write. */
  start(options?: { readonly readOnly: boolean }): Promise<void>;
  /** Ends the server and removes what it held. */
  stop(): Promise<void>;
}

/** The program of the tests; without one they are skipped, and this says so. */
export const serverProgram: ServerProgram | undefined = findServer();
if (!serverProgram) {
  console.warn(
    "S3 TESTS SKIPPED: no S3 server is installed. `node test/s3/server.mjs` builds one, with go or cargo, in two minutes.",
  );
}

const [accessKey, secretKey] = ["tests", "secret-of-tests"] as const;

/** Starts the server. @throws {Error} if none is installed, or if it does not answer within ten seconds. */
export async function startS3(program: ServerProgram | undefined = serverProgram): Promise<S3Server> {
  if (!program) throw new Error("S3: no server is installed. Run node test/s3/server.mjs");
  const root = mkdtempSync(join(tmpdir(), "s3-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async ({ readOnly = false } = {}): Promise<void> => {
    const flags = readOnly ? ["--readonly"] : [];
    child = spawn(program.path, [...flags, ...argumentsOf(program, root, port)], {
      stdio: "ignore",
      env: { ...process.env, ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
    });
    await answering(port, child);
  };
  const kill = async (): Promise<void> => {
    const ended = child && new Promise((resolve) => child?.once("exit", resolve));
    child?.kill("SIGKILL");
    await ended;
    child = undefined;
  };
  await start();
  return {
    program: program.name,
    env: {
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_EC2_METADATA_DISABLED: "true",
    },
    folderOf: (bucket) => join(root, bucket),
    newBucket() {
      const bucket = `b${randomBytes(6).toString("hex")}`;
      // Both servers take every folder below their root as a bucket.
      mkdirSync(join(root, bucket));
      return bucket;
    },
    ...{ kill, start },
    async stop() {
      await kill();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function argumentsOf({ name }: ServerProgram, root: string, port: number): string[] {
  if (name === "versitygw") return ["--port", `127.0.0.1:${port}`, "--quiet", "posix", root];
  const keys = ["--access-key", accessKey, "--secret-key", secretKey];
  return ["--host", "127.0.0.1", "--port", String(port), ...keys, root];
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`S3: the server ended with ${child.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
    if (answer) return;
    await wait(50);
  }
  throw new Error("S3: expected an answer within ten seconds, got none");
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
