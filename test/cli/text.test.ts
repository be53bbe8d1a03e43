import { describe, expect, test } from "vitest";
import { columns } from "../../src/cli/columns.ts";
import { failureOf, Interrupted } from "../../src/cli/failure.ts";
import { createProgress, progressLine } from "../../src/cli/progress.ts";
import { figure } from "../../src/cli/run-text.ts";
import { byteSize, imageSize } from "../../src/cli/values.ts";
import { DataError, KerasFileError, MachineError, TopologyError, UsageError } from "../../src/index.ts";

describe("figures", () => {
  test("losses have four places, or are in powers of ten where these say nothing", () => {
    expect([0.53144, 0, 3.2e-5, -2e-6].map(figure)).toEqual(["0.5314", "0.0000", "3.2e-5", "-2.0e-6"]);
  });

  test("columns line up, numbers to the right, nothing trails", () => {
    expect(
      columns(
        [
          ["a", "10", "x"],
          ["long", "5", ""],
        ],
        new Set([1]),
      ),
    ).toEqual(["a     10  x", "long   5"]);
  });

  test("sizes in powers of 1000 and pixels by height and width", () => {
    expect(["10GB", "500 mb", "1.5kb", "42"].map((text) => byteSize(text, Error))).toEqual([
      10e9, 500e6, 1500, 42,
    ]);
    expect(["224", "200x300"].map((text) => imageSize(text, Error))).toEqual([224, [200, 300]]);
  });
});

describe("progress", () => {
  const recorded = (interactive: boolean) => {
    const written: string[] = [];
    let time = 0;
    const progress = createProgress({
      write: (text) => written.push(text),
      interactive,
      columns: () => 100,
      now: () => time,
    });
    return { progress, written, at: (ms: number) => (time = ms) };
  };

  test("a line has the share done, the rate and the time left", () => {
    const line = progressLine({
      label: "features",
      done: 120,
      total: 400,
      unit: "images",
      detail: "",
      rate: 28,
    });
    expect(line).toBe("features  120/400 images  28.0 images/s  10s left");
  });

  test("below one a second the rate is seconds a unit", () => {
    const line = progressLine({
      label: "train",
      done: 1,
      total: 3,
      unit: "steps",
      detail: "epoch 1/1",
      rate: 0.25,
    });
    expect(line).toBe("train  1/3 steps  4.0 s a step  8.0s left  epoch 1/1");
  });

  test("a task of less than two seconds shows nothing", () => {
    const { progress, written, at } = recorded(true);
    for (const ms of [0, 500, 1900]) {
      at(ms);
      progress.update("features", ms, 2000, "images");
    }
    expect(written).toEqual([]);
  });

  test("on a terminal the line is drawn again in place and cleared before another is written", () => {
    const { progress, written, at } = recorded(true);
    progress.update("features", 0, 100, "images");
    at(2500);
    progress.update("features", 25, 100, "images");
    at(2510);
    progress.update("features", 26, 100, "images");
    at(3000);
    progress.update("features", 30, 100, "images");
    expect(written).toHaveLength(2);
    for (const text of written) expect(text.startsWith("\r\u001b[2K[")).toBe(true);
    expect(written[1]).toContain("30/100 images  10.0 images/s  7.0s left");
    expect(written.join("")).not.toContain("\n");
    progress.clear();
    progress.clear();
    expect(written.slice(2)).toEqual(["\r\u001b[2K"]);
  });

  test("in a pipe it is plain lines, one now and then", () => {
    const { progress, written, at } = recorded(false);
    progress.update("features", 0, 1000, "images");
    for (let ms = 100; ms <= 21_000; ms += 100) {
      at(ms);
      progress.update("features", ms / 100, 1000, "images");
    }
    expect(written.length).toBe(2);
    for (const text of written)
      expect(text).toMatch(/^features {2}\d+\/1000 images {2}10\.0 images\/s {2}\S+ left\n$/);
  });

  test("a new label, or a count that starts over, is a new task with its own rate", () => {
    const { progress, written, at } = recorded(false);
    progress.update("features", 50, 60, "images");
    at(5000);
    progress.update("features", 0, 60, "images");
    at(6000);
    progress.update("features", 10, 60, "images");
    expect(written).toEqual([]);
    at(7500);
    progress.update("features", 25, 60, "images");
    expect(written).toEqual(["features  25/60 images  10.0 images/s  3.5s left\n"]);
  });
});

describe("failures", () => {
  test("what was asked exits with 2; file, model, data and machine with 1; Ctrl-C with 130", () => {
    expect(failureOf(new UsageError("u"))).toEqual({ message: "u", exitCode: 2 });
    for (const error of [
      new KerasFileError("m"),
      new TopologyError("m"),
      new DataError("m"),
      new MachineError("m"),
    ]) {
      expect(failureOf(error)).toEqual({ message: "m", exitCode: 1 });
    }
    expect(failureOf(new Interrupted("Stopped."))).toEqual({ message: "Stopped.", exitCode: 130 });
  });

  test("only a bug shows a stack", () => {
    expect(failureOf(new TypeError("x is not a function")).message).toMatch(
      /^This is a bug.*\nTypeError: x.*\n +at /,
    );
    const refused = Object.assign(new Error("EACCES: permission denied, open 'x'"), {
      code: "EACCES",
      syscall: "open",
    });
    expect(failureOf(refused)).toEqual({ message: "EACCES: permission denied, open 'x'", exitCode: 1 });
  });
});
