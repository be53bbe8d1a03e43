import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scratch } from "./hdf5/temporary.ts";

const script = join(import.meta.dirname, "..", "scripts", "release.mjs");
const addresses = {
  repository: "https://example.com/r",
  bugs: "https://example.com/b",
  homepage: "https://example.com",
};
const changelog = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n";

interface Project {
  readonly folder: string;
  /** Runs the script in the project; returns its exit code and everything it wrote. */
  release(...args: string[]): { status: number | null; text: string };
  git(...args: string[]): string;
  json(name: string): { version: string; packages?: Record<string, { version: string }> };
  changelog(): string;
}

/** A project of version 0.1.0 in a git repository of its own, with everything committed. */
function project({ manifest = addresses as object, text = changelog } = {}): Project {
  const folder = scratch();
  const git = (...args: string[]) => {
    const identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"];
    return execFileSync("git", [...identity, ...args], { cwd: folder, encoding: "utf8" });
  };
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), typeof value === "string" ? value : JSON.stringify(value));
  const own = { name: "a-package", version: "0.1.0" };
  write("package.json", { ...own, ...manifest });
  write("package-lock.json", { ...own, lockfileVersion: 3, packages: { "": own } });
  write("CHANGELOG.md", text);
  git("init", "--quiet");
  git("config", "user.name", "Somebody");
  git("config", "user.email", "somebody@example.com");
  git("add", ".");
  git("commit", "--quiet", "--message", "A start");
  return {
    folder,
    git,
    release: (...args) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
        cwd: folder,
        encoding: "utf8",
      });
      return { status, text: stdout + stderr };
    },
    json: (name) => JSON.parse(readFileSync(join(folder, name), "utf8")),
    changelog: () => readFileSync(join(folder, "CHANGELOG.md"), "utf8"),
  };
}

describe("npm run release", () => {
  test("prepare writes the version and the changelog, commits and tags; publish finds them in order", () => {
    const { release, json, changelog, git } = project();
    expect(release("prepare", "0.2.0")).toEqual({
      status: 0,
      text: expect.stringContaining("tagged    v0.2.0"),
    });
    expect(json("package.json").version).toBe("0.2.0");
    expect(json("package-lock.json")).toMatchObject({
      version: "0.2.0",
      packages: { "": { version: "0.2.0" } },
    });
    expect(changelog()).toMatch(/^## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Added$/m);
    expect([git("status", "--porcelain"), git("tag").trim()]).toEqual(["", "v0.2.0"]);
    expect(release("publish", "--dry-run")).toEqual({
      status: 0,
      text: expect.stringMatching(
        /^package {3}a-package-0\.2\.0\.tgz: \d+ files, .* Dry run: nothing is changed\.$/m,
      ),
    });
  });

  test("a dry run says what a release would hold and changes nothing", () => {
    const { release, git } = project();
    const { status, text } = release("prepare", "0.2.0", "--dry-run");
    expect([status, git("status", "--porcelain"), git("tag")]).toEqual([0, "", ""]);
    expect(text).toContain("version   0.1.0 -> 0.2.0");
    expect(text).toContain("  - A thing.");
  });

  test("the version that a project starts with can be its first release, and no second one", () => {
    const { release } = project({ text: changelog.replace("A thing", "A thing and another") });
    expect(release("prepare", "0.1.0").status).toBe(0);
    expect(release("prepare", "0.1.0").text).toContain(
      "prepare: version: expected one after 0.1.0, got 0.1.0.",
    );
  });

  test("everything that is missing is said at once", () => {
    const { release, folder } = project({ manifest: {}, text: "# Changelog\n\n## [Unreleased]\n" });
    writeFileSync(join(folder, "new.txt"), "new");
    const { status, text } = release("prepare", "0.0.9");
    expect(status).toBe(1);
    for (const problem of [
      /^package\.json: repository: expected an address, got none\./m,
      /^package\.json: bugs: /m,
      /^package\.json: homepage: /m,
      /^prepare: version: expected one after 0\.1\.0, got 0\.0\.9\.$/m,
      /^CHANGELOG\.md: Unreleased: expected what a user notices, got nothing\.$/m,
      /^git: expected a clean checkout, got changes:\n\?\? new\.txt$/m,
    ]) {
      expect(text).toMatch(problem);
    }
    expect(release("prepare", "1.0").text).toContain('expected three numbers such as 0.2.0, got "1.0"');
  });

  test("publish refuses a commit that is not the release it says", () => {
    const { status, text } = project().release("publish", "--dry-run");
    expect(status).toBe(1);
    expect(text).toContain("git: HEAD: expected the tag v0.1.0, got none.");
    expect(text).toContain("CHANGELOG.md: 0.1.0: expected a section, got none.");
  });
});
