import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytesFile } from "../../src/hdf5/file-system.ts";
import { type Hdf5Group, openHdf5, openVirtual } from "../../src/hdf5/reader.ts";
import { scratch } from "./temporary.ts";

const fixtures = "fixtures/hdf5";

async function withRoot<T>(file: string, use: (root: Hdf5Group) => T): Promise<T> {
  const opened = await openHdf5(join(fixtures, file));
  try {
    return use(opened.root);
  } finally {
    opened.close();
  }
}

/** Returns the name and message of the error that `action` throws, "nothing" if it throws none. */
async function refusal(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    return `${(error as Error).name} ${(error as Error).message}`;
  }
  return "nothing";
}

interface Expected {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly base64: string;
}

describe("a dataset of every element type is read bit for bit", async () => {
  const expected = JSON.parse(readFileSync(join(fixtures, "values.json"), "utf8")) as Record<
    string,
    Expected
  >;
  test.each(Object.entries(expected))("%s", async (name, { dtype, shape, base64 }) => {
    const tensor = await withRoot("values.h5", (root) => root.group("values")!.dataset(name)!.read());
    expect(tensor.dtype).toBe(dtype);
    expect(tensor.shape).toEqual(shape);
    const { buffer, byteOffset, byteLength } = tensor.data;
    expect(Buffer.from(buffer, byteOffset, byteLength).toString("base64")).toBe(base64);
  });
});

test("the dtype and shape of a dataset are known before its values are read", async () => {
  const { dtype, shape } = await withRoot("values.h5", (root) => root.dataset("values/gzip")!);
  expect([dtype, shape]).toEqual(["float32", [100, 10]]);
});

test("an HDF5 file in memory reads like one on disk", async () => {
  const file = await openVirtual(bytesFile(readFileSync(join(fixtures, "values.h5"))), "memory");
  expect(file.root.dataset("values/scalar")!.read().data).toEqual(BigInt64Array.of(7n));
  file.close();
});

describe("HDF5 attributes", () => {
  test("strings are decoded from every encoding that h5py writes", async () => {
    await withRoot("attributes.h5", (root) => {
      expect(root.text("variable")).toBe("variäbel");
      expect(root.text("bytes")).toBe("ascii");
      expect(root.textList("fixed_list")).toEqual(["conv", "bü"]);
      expect(root.textList("variable_list")).toEqual(["one", "two", "dräi"]);
    });
  });

  test("an empty list of any type is read as an empty list, a missing one as undefined", async () => {
    await withRoot("attributes.h5", (root) => {
      expect(root.textList("empty_list")).toEqual([]);
      expect(root.textList("null")).toEqual([]);
      expect(root.textList("missing")).toBeUndefined();
      expect(root.text("missing")).toBeUndefined();
    });
  });

  test("a list that was split into several attributes is read as one list", async () => {
    const names = await withRoot("attributes.h5", (root) => root.textList("names")!);
    expect(names).toHaveLength(3000);
    expect([names[0], names[2999]]).toEqual(["layer_0000_with_a_long_name", "layer_2999_with_a_long_name"]);
  });

  test("a numeric attribute is refused where a string is expected", async () => {
    const message = await refusal(() => withRoot("attributes.h5", (root) => root.text("number")));
    expect(message).toBe(
      `KerasFileError ${fixtures}/attributes.h5: /: attribute number: expected strings, got class 0 of 8 bytes.`,
    );
  });
});

describe("objects that a hostile file could contain are refused by path", () => {
  const refusals = {
    "group/virtual": "is a virtual dataset whose values lie in other files. Refused.",
    "group/external": "cannot be read: unable to open external raw data file.",
    "group/lzf":
      "is compressed with lzf (32000): expected gzip, shuffle or fletcher32. Save it without compression.",
    "group/huge":
      "declares [1000000000,1000] float32, 4,000,000,000,000 bytes, in a file of 18,014 bytes. Refused.",
    "group/huge_gzip":
      "declares [1000000000,1000] float32, 4,000,000,000,000 bytes, in a file of 18,014 bytes. Refused.",
    "group/text": "expected numbers, got string of 4 bytes.",
    "group/complex": "expected numbers, got compound of 8 bytes.",
    "group/compound": "expected numbers, got compound of 8 bytes.",
    "group/null": "has no value (a null dataspace).",
    "group/soft": "is a soft link (to /group/x). Links are refused.",
    soft: "is a soft link (to /group). Links are refused.",
    dangling: "is a soft link (to /nothing). Links are refused.",
    outside: "is an external link. Links to other files are refused.",
    group: "expected a dataset, got a group.",
  };
  test.each(Object.entries(refusals))("%s", async (path, expected) => {
    const message = await refusal(() => withRoot("hostile.h5", (root) => root.dataset(path)?.read()));
    expect(message).toBe(`KerasFileError ${fixtures}/hostile.h5: /${path}: ${expected}`);
  });

  test("a path that passes through a link is refused", async () => {
    for (const path of ["soft/x", "outside/x"]) {
      const message = await refusal(() => withRoot("hostile.h5", (root) => root.dataset(path)));
      expect(message).toContain("refused");
    }
  });

  test("intact objects of a hostile file are read and missing ones are undefined", async () => {
    await withRoot("hostile.h5", (root) => {
      expect(root.dataset("group/x")!.read().data).toEqual(Float32Array.of(0, 1, 2, 3));
      expect(root.dataset("group/none")).toBeUndefined();
      expect(root.group("none")).toBeUndefined();
      expect(root.keys()).toEqual(["dangling", "group", "outside", "soft"]);
    });
  });
});

describe("files that are not HDF5 files", () => {
  const at = (name: string, content: Uint8Array | string): string => {
    const path = join(scratch(), name);
    writeFileSync(path, content);
    return path;
  };

  test("a missing file, a folder, an empty file and a text file are each refused", async () => {
    const folder = scratch();
    const empty = at("empty.h5", "");
    const text = at("text.h5", "hello");
    expect(await refusal(() => openHdf5("none.h5"))).toBe(
      "KerasFileError none.h5: no such file or directory.",
    );
    expect(await refusal(() => openHdf5(folder))).toBe(
      `KerasFileError ${folder}: is a directory: expected a file.`,
    );
    expect(await refusal(() => openHdf5(empty))).toBe(
      `KerasFileError ${empty}: the file is empty (0 bytes).`,
    );
    expect(await refusal(() => openHdf5(text))).toBe(
      `KerasFileError ${text}: not an HDF5 file: expected an .h5 or .keras file written by Keras, got one that starts with "hello".`,
    );
  });

  test("a truncated file is refused with its actual and expected sizes", async () => {
    const whole = readFileSync(join(fixtures, "values.h5"));
    const path = at("cut.h5", whole);
    truncateSync(path, 9000);
    const bytes = whole.length.toLocaleString("en-US");
    expect(await refusal(() => openHdf5(path))).toBe(
      `KerasFileError ${path}: the file is truncated: 9,000 of ${bytes} bytes. Copy or download it again.`,
    );
  });

  test("a file that is damaged anywhere throws an error and never crashes the process", async () => {
    const whole = readFileSync(join(fixtures, "values.h5"));
    let failed = 0;
    for (let position = 8; position < 3000; position += 37) {
      const damaged = Buffer.from(whole);
      damaged.fill(0xff, position, position + 16);
      const message = await refusal(async () => {
        const file = await openVirtual(bytesFile(damaged), "damaged");
        try {
          const group = file.root.group("values");
          for (const name of group?.keys() ?? []) group?.dataset(name)?.read();
        } finally {
          file.close();
        }
      });
      if (message === "nothing") continue;
      failed += 1;
      expect(message).toMatch(/^KerasFileError damaged: /);
    }
    expect(failed).toBeGreaterThan(5);
  });

  test("the library still reads files after many failures", async () => {
    const text = at("text.h5", "hello");
    for (let time = 0; time < 50; time += 1) await refusal(() => openHdf5(text));
    const value = await withRoot("values.h5", (root) => root.dataset("values/scalar")!.read().data);
    expect(value).toEqual(BigInt64Array.of(7n));
  });
});
