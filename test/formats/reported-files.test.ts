/**
 * Kinds of files that other readers' bug reports, and Keras's own tests of saving, are about: each is read whole or refused by name.
 * docs/reliability.md lists them with their sources.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, unzipSync, zipSync } from "fflate";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Json } from "../../src/checkpoint.ts";
import { KerasFileError, TopologyError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { openHdf5 } from "../../src/hdf5/reader.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { requireSupported } from "../../src/topology/support.ts";

const hdf5 = "fixtures/hdf5";
const archive = "fixtures/cli/small_resnet.keras";

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "reported-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe("HDF5 of a layout that a reader had read wrongly is read to the bit", () => {
  const expected = JSON.parse(readFileSync(join(hdf5, "reported.json"), "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const cases = Object.entries(expected).flatMap(([file, datasets]) =>
    Object.entries(datasets).map(([name, base64]) => [file, name, base64] as const),
  );
  test.each(cases)("%s: %s", async (file, name, base64) => {
    const { root, close } = await openHdf5(join(hdf5, file));
    const tensor = root.dataset(name)?.read();
    close();
    expect(tensor?.shape).toEqual([3, 4]);
    const { buffer, byteOffset, byteLength } = tensor?.data ?? new Uint8Array();
    expect(Buffer.from(buffer, byteOffset, byteLength).toString("base64")).toBe(base64);
  });

  test("sixty files, one after the other, of which some are refused", async () => {
    for (let round = 0; round < 20; round++) {
      for (const file of Object.keys(expected)) {
        const { root, close } = await openHdf5(join(hdf5, file));
        expect(root.dataset("chunked")?.read().data[11]).toBe(11);
        close();
      }
      await expect(readCheckpoint(join(hdf5, "linked-soft.h5"))).rejects.toThrow(KerasFileError);
    }
  });
});

test.each(["external", "soft"])(
  "a model whose weights lie behind a link (%s) is refused by place",
  async (kind) => {
    const read = readCheckpoint(join(hdf5, `linked-${kind}.h5`));
    await expect(read).rejects.toThrow(KerasFileError);
    await expect(read).rejects.toThrow(/linked-\w+\.h5: .*model_weights.* link.*refused/i);
  },
);

/** Reads the bytes as a .keras file. */
async function readArchive(bytes: Uint8Array): Promise<unknown> {
  const path = join(scratch(), "model.keras");
  writeFileSync(path, bytes);
  return readCheckpoint(path).catch((error: unknown) => error);
}

describe("an archive as other tools have made it", () => {
  const whole = readFileSync(archive);
  const entries = unzipSync(whole);
  const [intact] = [readCheckpoint(archive)];
  const directoryAt = (bytes: Buffer): number => bytes.lastIndexOf("PK\x05\x06", undefined, "latin1");
  const headerAt = (bytes: Buffer, index: number): number => {
    let at = -1;
    for (let count = 0; count <= index; count++) at = bytes.indexOf("PK\x01\x02", at + 1, "latin1");
    return at;
  };
  const stored = (files = entries): Buffer => Buffer.from(zipSync(files, { level: 0 }));
  const changed = (change: (bytes: Buffer) => unknown, files = entries): Buffer => {
    const bytes = stored(files);
    const other = change(bytes);
    return Buffer.isBuffer(other) ? other : bytes;
  };

  const kinds: Readonly<Record<string, Buffer>> = {
    "claims a comment that is not there": changed(
      (bytes) => void bytes.writeUInt16LE(12298, directoryAt(bytes) + 20),
    ),
    "has something behind its end": changed((bytes) => Buffer.concat([bytes, Buffer.from("more")])),
    "has something before its start": changed((bytes) => Buffer.concat([Buffer.from("before it"), bytes])),
    "counts fewer entries than it has": changed((bytes) => {
      bytes.writeUInt16LE(1, directoryAt(bytes) + 8);
      bytes.writeUInt16LE(1, directoryAt(bytes) + 10);
    }),
    "counts more entries than it has": changed((bytes) => {
      bytes.writeUInt16LE(9, directoryAt(bytes) + 8);
      bytes.writeUInt16LE(9, directoryAt(bytes) + 10);
    }),
    "says that it is one of several disks": changed(
      (bytes) => void bytes.writeUInt16LE(2, directoryAt(bytes) + 4),
    ),
    "has a folder whose size is that of a block": changed(
      (bytes) => void bytes.writeUInt32LE(4096, headerAt(bytes, 0) + 24),
      { "assets/": new Uint8Array(), ...entries },
    ),
    "has two entries at one place": changed((bytes) => {
      bytes.writeUInt32LE(bytes.readUInt32LE(headerAt(bytes, 0) + 42), headerAt(bytes, 1) + 42);
    }),
    "calls an entry by another name where it lies": changed((bytes) => void bytes.write("X", 30, "latin1")),
    "has an entry at a place behind its end": changed(
      (bytes) => void bytes.writeUInt32LE(0x7ffffff0, headerAt(bytes, 1) + 42),
    ),
    "has an entry that says it is longer where it lies": changed((bytes) => void bytes.writeUInt32LE(7, 22)),
    "holds an archive as one of its entries": stored({
      "assets/inner.zip": new Uint8Array(stored()),
      ...entries,
    }),
    "is written as text": Buffer.from(stored().toString("base64")),
    "is a name that goes up in another system's way": stored({ "..\\..\\up": strToU8("x"), ...entries }),
  };

  test.each(Object.entries(kinds))(
    "that %s is read as it is meant, or refused by name",
    async (_what, bytes) => {
      const read = await readArchive(bytes);
      if (read instanceof Error) {
        expect(read).toBeInstanceOf(KerasFileError);
        expect(read.message).toMatch(/model\.keras: /);
      } else {
        expect(read).toMatchObject({
          weights: (await intact).weights,
          modelConfig: (await intact).modelConfig,
        });
      }
    },
  );

  test("that has an entry twice is read as Python reads it, by its last, or refused", async () => {
    const first = stored({ "config.json": strToU8('{"class_name": "Evil"}') });
    const end = directoryAt(first);
    const local = first.subarray(0, headerAt(first, 0));
    const record = first.subarray(headerAt(first, 0), end);
    const rest = stored();
    const from = headerAt(rest, 0);
    const records = Buffer.from(rest.subarray(from, directoryAt(rest)));
    for (let at = 0; at >= 0; at = records.indexOf("PK\x01\x02", at + 1, "latin1"))
      records.writeUInt32LE(records.readUInt32LE(at + 42) + local.length, at + 42);
    const tail = Buffer.from(rest.subarray(directoryAt(rest)));
    const count = tail.readUInt16LE(8) + 1;
    tail.writeUInt16LE(count, 8);
    tail.writeUInt16LE(count, 10);
    tail.writeUInt32LE(record.length + records.length, 12);
    tail.writeUInt32LE(local.length + from, 16);
    const read = await readArchive(Buffer.concat([local, rest.subarray(0, from), record, records, tail]));
    if (read instanceof Error) expect(read.message).toMatch(/model\.keras: .*config\.json/);
    else expect(read).toMatchObject({ modelConfig: (await intact).modelConfig });
  });

  test("whose weights are NumPy's is refused by name", async () => {
    const { "model.weights.h5": weights = new Uint8Array(), ...others } = entries;
    const read = await readArchive(stored({ "model.weights.npz": weights, ...others }));
    expect(read).toBeInstanceOf(KerasFileError);
    expect((read as Error).message).toMatch(/model\.keras: .*model\.weights/);
  });

  test("whose config names a layer by a path stays inside: nothing outside is read or written", async () => {
    const folder = scratch();
    const config = new TextDecoder()
      .decode(entries["config.json"])
      .replaceAll(/"name": "conv1[^"]*"/g, '"name": "../../../escape"');
    const path = join(folder, "model.keras");
    writeFileSync(path, stored({ ...entries, "config.json": strToU8(config) }));
    const read = await readCheckpoint(path).catch((error: unknown) => error);
    if (read instanceof Error) expect([KerasFileError, TopologyError]).toContain(read.constructor);
    expect(existsSync(join(folder, "..", "escape"))).toBe(false);
  });
});

describe("a config that makes Keras run code or read files is refused by layer and class", () => {
  const evil: readonly (readonly [source: string, layer: Record<string, Json>])[] = [
    [
      "a module of Python's (CVE-2025-1550)",
      { module: "os", class_name: "system", config: { name: "evil", command: "touch x" } },
    ],
    [
      "a function of Keras's that loads another model (CVE-2025-9906)",
      {
        module: "keras.layers",
        class_name: "Lambda",
        config: {
          name: "evil",
          function: {
            module: "keras.models",
            class_name: "function",
            config: "load_model",
            registered_name: "function",
          },
          arguments: { safe_mode: false },
        },
      },
    ],
    [
      "a function that lifts the guard (CVE-2025-8747)",
      { module: "keras.config", class_name: "enable_unsafe_deserialization", config: { name: "evil" } },
    ],
    [
      "Python's bytecode (CVE-2024-3660)",
      {
        module: "keras.layers",
        class_name: "Lambda",
        config: {
          name: "evil",
          function: { class_name: "__lambda__", config: { code: "4wEAAAA=", defaults: null, closure: null } },
        },
      },
    ],
    [
      "a pickled module of PyTorch's",
      {
        module: "keras.layers",
        class_name: "TorchModuleWrapper",
        config: { name: "evil", module: "gASVAAAAAAAAAA==" },
      },
    ],
    [
      "a SavedModel somewhere on the disk",
      {
        module: "keras.layers",
        class_name: "TFSMLayer",
        config: { name: "evil", filepath: "/etc", call_endpoint: "serve" },
      },
    ],
    [
      "a vocabulary in any file (CVE-2025-12058)",
      {
        module: "keras.layers",
        class_name: "StringLookup",
        config: { name: "evil", vocabulary: "/etc/passwd", num_oov_indices: 1 },
      },
    ],
  ];

  test.each(evil)("%s", async (_source, layer) => {
    const config = {
      class_name: "Sequential",
      config: {
        name: "model",
        layers: [
          {
            module: "keras.layers",
            class_name: "InputLayer",
            config: { name: "in", batch_shape: [null, 1], dtype: "float32" },
          },
          layer,
        ],
      },
    };
    const { "model.weights.h5": weights = new Uint8Array(), "metadata.json": metadata = new Uint8Array() } =
      unzipSync(readFileSync(archive));
    const read = await readArchive(
      zipSync({
        "config.json": strToU8(JSON.stringify(config)),
        "metadata.json": metadata,
        "model.weights.h5": weights,
      }),
    );
    const refusal = read instanceof Error ? read : await refusalOf(read);
    expect(refusal).toSatisfy(
      (error: unknown) => error instanceof TopologyError || error instanceof KerasFileError,
    );
    expect(refusal.message).toMatch(/evil|model\.keras/);
    expect(refusal.message).not.toMatch(/root:/);
  });

  async function refusalOf(checkpoint: unknown): Promise<Error> {
    try {
      requireSupported(layerGraph(checkpoint as Parameters<typeof layerGraph>[0]));
    } catch (error) {
      return error as Error;
    }
    return new Error("nothing was refused");
  }
});

test("a model that is a link to a file is read, and one to itself, or to nothing, is refused by name", async () => {
  const folder = scratch();
  copyFileSync(archive, join(folder, "real.keras"));
  symlinkSync("real.keras", join(folder, "link.keras"));
  symlinkSync("loop.keras", join(folder, "loop.keras"));
  symlinkSync("nothing.keras", join(folder, "dangling.keras"));
  mkdirSync(join(folder, "folder.keras"));
  expect((await readCheckpoint(join(folder, "link.keras"))).weights.size).toBeGreaterThan(0);
  for (const name of ["loop", "dangling", "folder"]) {
    await expect(readCheckpoint(join(folder, `${name}.keras`))).rejects.toThrow(
      new RegExp(`${name}\\.keras`),
    );
  }
});
