#!/usr/bin/env node
/**
 * A real S3 server for the tests: `node test/s3/server.mjs` finds one or builds one, and prints its path.
 *
 * Either of two is built from its source by the ordinary client of its registry, into a folder outside the repository
 * (`KERAS_FINETUNE_S3`, by default `keras-finetune-s3` in the user's cache folder): versitygw, a gateway written in Go, and s3s-fs, written
 * in Rust. `S3_SERVER=s3s-fs` chooses the second.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder =
  process.env.KERAS_FINETUNE_S3 ??
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "keras-finetune-s3");

const servers = {
  versitygw: {
    needs: "go",
    build: (into) =>
      spawnSync("go", ["install", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"], {
        env: { ...process.env, GOBIN: into, GOFLAGS: "-mod=mod" },
        stdio: ["ignore", "inherit", "inherit"],
      }),
    built: "versitygw",
  },
  "s3s-fs": {
    needs: "cargo",
    build: (into) =>
      spawnSync(
        "cargo",
        ["install", "s3s-fs", "--version", "0.14.1", "--features", "binary", "--locked", "--root", into],
        { stdio: ["ignore", "inherit", "inherit"] },
      ),
    built: join("bin", "s3s-fs"),
  },
};

/** Returns the servers that are asked for, the better one first: only versitygw lists ETags and has policies. */
function names() {
  const asked = process.env.S3_SERVER;
  return asked === undefined ? Object.keys(servers) : [asked];
}

/** Returns the program that is installed, with its name; undefined if there is none. */
export function findServer() {
  for (const name of names()) {
    const path = join(folder, name);
    if (existsSync(path)) return { name, path };
  }
  return undefined;
}

/** Returns the program, building it where it is not installed yet; undefined if neither can be built here. */
export function installServer() {
  const found = findServer();
  if (found) return found;
  for (const name of names()) {
    const { needs, build, built } = servers[name];
    if (spawnSync(needs, ["version"], { stdio: "ignore" }).error) continue;
    const into = join(folder, `build-${name}`);
    mkdirSync(into, { recursive: true });
    if (build(into).status !== 0) continue;
    renameSync(join(into, built), join(folder, name));
    return { name, path: join(folder, name) };
  }
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = installServer();
  console.log(server?.path ?? "no S3 server: neither go nor cargo is here to build one");
}
