import { posix, win32 } from "node:path";
import { describe, expect, it } from "vitest";
import { commonFolder, isBelow, placeIn, sharedName } from "../../src/data/file-listing.ts";
import { pathsOfCell } from "../../src/data/table-paths.ts";
import { setupPlatform } from "../../src/engine/setup/platform.ts";
import { nameWithoutEnding } from "../../src/formats/formats.ts";
import { freeName, portableName } from "../../src/formats/free-name.ts";

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

  it("lie in the deepest folder that they share, or in that of the first drive", () => {
    expect(commonFolder(["/a/b/c", "/a/b/d", "/a/b"], posix)).toBe("/a/b");
    expect(commonFolder(["/..odd/a", "/b"], posix)).toBe("/");
    expect(commonFolder(["C:\\a\\b", "c:\\A\\c"], win32)).toBe("C:\\a");
    expect(commonFolder(["C:\\a\\b", "D:\\a"], win32)).toBe("C:\\");
    expect(commonFolder([], posix)).toBe(".");
  });

  it("keep their way below another folder, also from another drive or server", () => {
    expect(placeIn("/a", "/a/b/c", posix)).toBe("b/c");
    expect(placeIn("C:\\a", "c:\\A\\b", win32)).toBe("b");
    expect(placeIn("C:\\", "D:\\photos\\cats", win32)).toBe("D\\photos\\cats");
    expect(placeIn("C:\\", "\\\\server\\share\\cats", win32)).toBe("server_share\\cats");
  });

  it("of the cells of a table are those of Windows on Windows, and slashes elsewhere", () => {
    expect(pathsOfCell("D:\\data", "cats\\1.jpg", win32)).toEqual(["D:\\data\\cats\\1.jpg"]);
    expect(pathsOfCell("D:\\data", "cats/1.jpg", win32)).toEqual(["D:\\data\\cats\\1.jpg"]);
    expect(pathsOfCell("D:\\data", "E:\\1.jpg", win32)).toEqual(["E:\\1.jpg"]);
    expect(pathsOfCell("D:\\data", "\\\\server\\share\\1.jpg", win32)).toEqual(["\\\\server\\share\\1.jpg"]);
    expect(pathsOfCell("/data", "cats\\1.jpg", posix)).toEqual(["/data/cats\\1.jpg", "/data/cats/1.jpg"]);
  });

  it("give run folders names with a number behind, which no device of Windows has", () => {
    expect(`${nameWithoutEnding("models/CON.keras")}-1`).toBe("CON-1");
    expect(`${nameWithoutEnding("models/trailing..h5")}-1`).toBe("trailing.-1");
  });
});

describe("files that are called after images and labels", () => {
  it("have names that Windows takes: no devices, no dots at their end, no characters of its own", () => {
    expect(["CON", "nul.mask", "COM1", "lpt¹", "console", "a.con"].map(portableName)).toEqual([
      ...["_CON", "_nul.mask", "_COM1", "_lpt¹", "console", "a.con"],
    ]);
    expect(["wait...", "open ", "..", "a/b\\c", 'x:"y"?', "tab\there"].map(portableName)).toEqual([
      ...["wait___", "open_", "__", "a_b_c", "x__y__", "tab_here"],
    ]);
    expect(["café", "犬", "a.b", "-x"].map(portableName)).toEqual(["café", "犬", "a.b", "-x"]);
  });

  it("have numbers where names differ in case or in the spelling of an accent alone", () => {
    const taken = new Set<string>();
    const accents = ["café", "cafe\u0301"];
    expect(["out/A", "out/a", "out/A", "other/a", ...accents].map((name) => freeName(name, taken))).toEqual([
      ...["out/A", "out/a-2", "out/A-3", "other/a", "café", "cafe\u0301-2"],
    ]);
  });
});

describe("the native engine's setup", () => {
  it("takes TensorFlow's wheel on Linux and on macOS for arm64, and tfjs-node's own library on Windows", () => {
    expect(setupPlatform("linux", "x64")).toMatchObject({ from: "wheel", wheel: "tensorflow-cpu" });
    expect(setupPlatform("linux", "arm64")).toMatchObject({ from: "wheel", wheel: "tensorflow" });
    expect(setupPlatform("darwin", "arm64")).toMatchObject({
      wheel: "tensorflow",
      libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
    });
    expect(setupPlatform("win32", "x64")).toEqual({ from: "installer" });
    expect(setupPlatform("freebsd", "x64")).toBeUndefined();
  });
});
