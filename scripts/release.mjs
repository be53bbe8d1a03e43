#!/usr/bin/env node
/**
 * Makes a release in two steps, each of which takes --dry-run and then changes and publishes nothing:
 *
 *     npm run release -- prepare 0.2.0    checks, writes the version and the changelog, commits, tags v0.2.0
 *     npm run release -- publish          checks that HEAD carries the tag of its version, publishes with provenance
 *
 * `publish` is for .github/workflows/release.yml: npm signs provenance only where a CI vouches for the build.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const [step, ...rest] = process.argv.slice(2);
const dryRun = rest.includes("--dry-run");
const asked = rest.find((argument) => !argument.startsWith("--"));

const read = (path) => readFileSync(path, "utf8");
const manifest = JSON.parse(read("package.json"));
const changelog = read("CHANGELOG.md");
const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim();

/** The text below a heading of the changelog, up to the next; undefined where there is no such heading. */
function sectionOf(text, name) {
  const heading = new RegExp(`^## \\[${name.replaceAll(".", "\\.")}\\].*\\n`, "m").exec(text);
  if (!heading) return undefined;
  const rest = text.slice(heading.index + heading[0].length);
  return rest.split(/^## /m)[0].trim();
}

/** The version's three numbers, or undefined. */
function numbersOf(version) {
  return /^\d+\.\d+\.\d+$/.test(version ?? "") ? version.split(".").map(Number) : undefined;
}

function isLater(version, than) {
  const [a, b] = [numbersOf(version), numbersOf(than)];
  const at = a.findIndex((part, index) => part !== b[index]);
  return at >= 0 && a[at] > b[at];
}

/** Ends with 1 and every problem, if there is one. */
function refuse(problems) {
  if (problems.length === 0) return;
  for (const problem of problems) console.error(problem);
  process.exit(1);
}

function manifestProblems() {
  const missing = ["repository", "bugs", "homepage"].filter((field) => !manifest[field]);
  return missing.map(
    (field) =>
      `package.json: ${field}: expected an address, got none. Fill it in before the first publication (CONTRIBUTING.md, Releases).`,
  );
}

function prepare() {
  const problems = manifestProblems();
  if (!numbersOf(asked)) {
    problems.push(
      `prepare: version: expected three numbers such as 0.2.0, got ${JSON.stringify(asked ?? "none")}.`,
    );
  } else {
    const tags = git("tag", "--list", "v*").split("\n").filter(Boolean);
    const isFirst = tags.length === 0 && asked === manifest.version;
    if (!isFirst && !isLater(asked, manifest.version)) {
      problems.push(`prepare: version: expected one after ${manifest.version}, got ${asked}.`);
    }
    if (tags.includes(`v${asked}`))
      problems.push(`prepare: v${asked}: expected a new tag, got one that exists.`);
  }
  const unreleased = sectionOf(changelog, "Unreleased");
  if (!unreleased) problems.push("CHANGELOG.md: Unreleased: expected what a user notices, got nothing.");
  const changed = git("status", "--porcelain");
  if (changed) problems.push(`git: expected a clean checkout, got changes:\n${changed}`);
  refuse(problems);

  const lock = JSON.parse(read("package-lock.json"));
  lock.version = asked;
  lock.packages[""].version = asked;
  const date = new Date().toISOString().slice(0, 10);
  const released = changelog.replace("## [Unreleased]\n", `## [Unreleased]\n\n## [${asked}] - ${date}\n`);
  console.log(`version   ${manifest.version} -> ${asked}`);
  console.log(`changelog\n${unreleased.replace(/^/gm, "  ")}`);
  if (dryRun) return showPackage();
  writeFileSync("package.json", `${JSON.stringify({ ...manifest, version: asked }, null, 2)}\n`);
  writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
  writeFileSync("CHANGELOG.md", released);
  git("commit", "--all", "--message", `Release ${asked}`);
  git("tag", "--annotate", `v${asked}`, "--message", unreleased);
  console.log(`tagged    v${asked}. Publish with: git push --follow-tags`);
}

function publish() {
  const problems = manifestProblems();
  const tag = `v${manifest.version}`;
  if (!git("tag", "--points-at", "HEAD").split("\n").includes(tag)) {
    problems.push(
      `git: HEAD: expected the tag ${tag}, got none. Make it with: npm run release -- prepare ${manifest.version}`,
    );
  }
  if (!sectionOf(changelog, manifest.version)) {
    problems.push(`CHANGELOG.md: ${manifest.version}: expected a section, got none.`);
  }
  refuse(problems);
  if (dryRun) return showPackage();
  execFileSync("npm", ["publish", "--provenance", "--access", "public"], { stdio: "inherit" });
}

/** Says what would be published. */
function showPackage() {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    encoding: "utf8",
  });
  const [{ filename, files, size }] = [JSON.parse(output)].flat();
  console.log(
    `package   ${filename}: ${files.length} files, ${(size / 1e6).toFixed(1)} MB. Dry run: nothing is changed.`,
  );
}

const steps = { prepare, publish };
if (steps[step]) steps[step]();
else refuse([`release: expected prepare X.Y.Z or publish, got ${JSON.stringify(step ?? "nothing")}.`]);
