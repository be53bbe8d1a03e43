import { posix, win32 } from "node:path";
import { describe, expect, it } from "vitest";
import { isBelow, sharedName } from "../../src/data/file-listing.ts";
import { setupPlatform } from "../../src/engine/setup/platform.ts";
import { nameWithoutEnding } from "../../src/formats/formats.ts";

describe("places of files under the rules of Windows and of other systems", () => {
  it("have one name for all machines, from drives and servers as from a root", () => {
    const expected = "train/cats/1.jpg";
    expect(sharedName("/data/pets", "/data/pets/train/cats/1.jpg", posix)).toBe(expected);
    expect(sharedName("D:\\data\\pets", "D:\\data\\pets\\train\\cats\\1.jpg", win32)).toBe(expected);
    expect(sharedName("d:\\data\\pets\\", "D:/data/pets/train/cats/1.jpg", win32)).toBe(expected);
    const [server, file] = ["\\\\server\\photos", "\\\\server\\photos\\train\\cats\\1.jpg"];
    expect(sharedName(server, file, win32)).toBe(expected);
  });

  it("keep a backslash in a name where it is a letter like any other", () => {
    expect(sharedName("/data", "/data/a\\b.jpg", posix)).toBe("a\\b.jpg");
  });

  it("are not below a folder of another drive, and a name of two dots and more is a name", () => {
    expect(isBelow("C:\\data", "D:\\data\\1.jpg", win32)).toBe(false);
    expect(isBelow("C:\\data", "c:\\DATA\\1.jpg", win32)).toBe(true);
    expect(isBelow("C:\\data", "C:\\other\\1.jpg", win32)).toBe(false);
    expect(isBelow("/data", "/data/..odd/1.jpg", posix)).toBe(true);
    expect(isBelow("/data", "/other/1.jpg", posix)).toBe(false);
  });

  it("give run folders names with a number behind, which no device of Windows has", () => {
    expect(`${nameWithoutEnding("models/CON.keras")}-1`).toBe("CON-1");
    expect(`${nameWithoutEnding("models/trailing..h5")}-1`).toBe("trailing.-1");
  });
});

describe("the native engine's setup", () => {
  it("takes TensorFlow's wheel on Linux and on macOS for arm64, and tfjs-node's own library on Windows", () => {
    expect(setupPlatform("linux", "x64")).toMatchObject({ from: "wheel", wheel: "tensorflow-cpu" });
    expect(setupPlatform("linux", "arm64")).toMatchObject({
      tags: expect.arrayContaining(["manylinux2014_aarch64"]),
    });
    expect(setupPlatform("darwin", "arm64")).toMatchObject({
      wheel: "tensorflow",
      libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
    });
    expect(setupPlatform("win32", "x64")).toEqual({ from: "installer" });
    expect(setupPlatform("freebsd", "x64")).toBeUndefined();
  });
});
