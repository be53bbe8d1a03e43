import { ftruncateSync, readSync, writeSync } from "node:fs";
import type { FS } from "h5wasm/node";

/** A file as the HDF5 library sees it. Positions and sizes are in bytes. */
export interface VirtualFile {
  size(): number;
  /**
   * Fills `target` from `position` and returns the number of bytes read, fewer than asked for at the end of the file.
   */
  read(target: Uint8Array, position: number): number;
  write(source: Uint8Array, position: number): void;
  truncate(size: number): void;
}

/**
 * Creates a view of an open file from byte `start` on. The library may write anything behind that position. The caller
 * keeps the descriptor and closes it.
 */
export function windowFile(descriptor: number, start: number, length: number): VirtualFile {
  let size = length;
  return {
    size: () => size,
    read: (target, position) => {
      const wanted = Math.min(target.length, Math.max(0, size - position));
      return wanted === 0 ? 0 : readSync(descriptor, target, 0, wanted, start + position);
    },
    write: (source, position) => {
      for (let done = 0; done < source.length; ) {
        done += writeSync(descriptor, source, done, source.length - done, start + position + done);
      }
      size = Math.max(size, position + source.length);
    },
    truncate: (wanted) => {
      ftruncateSync(descriptor, start + wanted);
      size = wanted;
    },
  };
}

/** Creates a read-only file in memory. */
export function bytesFile(bytes: Uint8Array): VirtualFile {
  return {
    size: () => bytes.length,
    read: (target, position) => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    },
    write: refuseWrite,
    truncate: refuseWrite,
  };
}

function refuseWrite(): never {
  throw errno(badDescriptor);
}

/** Creates a file in memory for the text of an error, which the library writes and reads back. */
function textFile(): VirtualFile {
  let bytes = Buffer.alloc(0);
  return {
    size: () => bytes.length,
    read: (target, position) => bytes.copy(target, 0, position),
    write: (source, position) => {
      bytes = Buffer.concat([bytes.subarray(0, position), source]);
    },
    truncate: (size) => {
      bytes = bytes.subarray(0, size);
    },
  };
}

const mounted = new Map<string, VirtualFile>();
let mounts = 0;

/** Registers a file and returns the path by which the library opens it until {@link unmount}. */
export function mount(file: VirtualFile): string {
  mounts += 1;
  const path = `/virtual/${mounts}.h5`;
  mounted.set(path, file);
  return path;
}

/** Withdraws a file from the library, even if the library failed to close it. */
export function unmount(path: string): void {
  mounted.delete(path);
  for (const { streams } of guarded) {
    for (const stream of streams) if (stream?.path === path) stream.file = closedFile;
  }
}

const closedFile: VirtualFile = { size: () => 0, read: () => 0, write: refuseWrite, truncate: refuseWrite };

// Error numbers of emscripten's errno.h.
const notFound = 44;
const badDescriptor = 8;
const inputOutput = 29;

function errno(code: number): Error {
  return Object.assign(new Error(`errno ${code}`), { name: "ErrnoError", errno: code });
}

/** An open file in emscripten's table; `file` is set if the file is one of ours. */
interface Stream {
  readonly path?: string;
  file?: VirtualFile;
  position: number;
}

/** The functions of emscripten's file system that the library calls. */
interface FileSystem {
  readonly streams: readonly (Stream | null | undefined)[];
  createStream(stream: object): Stream;
  open(path: string, flags: number): Stream;
  unlink(path: string): void;
  stat(path: string): unknown;
  lstat(path: string): unknown;
  fstat(descriptor: number): unknown;
  ftruncate(descriptor: number, size: number): void;
}

/** The file systems of the library's instances. */
const guarded: FileSystem[] = [];
/** Paths that the C library's `tmpfile()` opens. h5wasm writes each error there before it throws it. */
const errorText = /^\/tmp\/tmpfile_/;

/**
 * Replaces the machine's file system by the mounted files. The library can then open what {@link mount} registered and
 * nothing else, so no model file can make it read another file (external links, external storage, virtual datasets) or
 * load a filter plug-in.
 */
export function guardFileSystem(library: typeof FS): void {
  const fileSystem = library as unknown as FileSystem;
  guarded.push(fileSystem);
  const { unlink, stat, lstat, fstat, ftruncate } = fileSystem;
  const pathStatus = (otherwise: (path: string) => unknown) => (path: string) => {
    const file = mounted.get(path);
    return file ? status(0, file) : otherwise(path);
  };
  fileSystem.stat = pathStatus(stat);
  fileSystem.lstat = pathStatus(lstat);
  fileSystem.open = (path, flags) => {
    const file = errorText.test(path) ? textFile() : mounted.get(path);
    if (!file) throw errno(notFound);
    const node = { mode: 0o100600, path };
    return fileSystem.createStream({
      path,
      flags,
      node,
      file,
      position: 0,
      seekable: true,
      stream_ops: operations,
    });
  };
  fileSystem.unlink = (path) => {
    if (!errorText.test(path)) unlink(path);
  };
  fileSystem.fstat = (descriptor) => {
    const file = fileSystem.streams[descriptor]?.file;
    return file ? status(descriptor, file) : fstat(descriptor);
  };
  fileSystem.ftruncate = (descriptor, size) => {
    const file = fileSystem.streams[descriptor]?.file;
    if (file) file.truncate(size);
    else ftruncate(descriptor, size);
  };
}

const epoch = new Date(0);

/** Returns the result of `fstat`. HDF5 distinguishes files by device and inode. */
function status(descriptor: number, file: VirtualFile): unknown {
  const size = file.size();
  const times = { atime: epoch, mtime: epoch, ctime: epoch };
  const blocks = Math.ceil(size / 512);
  return {
    dev: 1,
    ino: descriptor,
    mode: 0o100600,
    nlink: 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    size,
    blksize: 4096,
    blocks,
    ...times,
  };
}

/** Operations of the streams that `open` creates, each of which has a file. */
const operations = {
  read: (stream: OpenStream, heap: Int8Array, offset: number, length: number, position: number): number =>
    withKnownErrors(() =>
      stream.file.read(new Uint8Array(heap.buffer, heap.byteOffset + offset, length), position),
    ),
  write: (stream: OpenStream, heap: Int8Array, offset: number, length: number, position: number): number =>
    withKnownErrors(() => {
      stream.file.write(new Uint8Array(heap.buffer, heap.byteOffset + offset, length), position);
      return length;
    }),
  llseek: (stream: OpenStream, offset: number, whence: number): number =>
    offset + (whence === 1 ? stream.position : whence === 2 ? stream.file.size() : 0),
};

type OpenStream = Stream & { readonly file: VirtualFile };

/**
 * Calls a file operation and turns every other error into an `errno` that emscripten knows. The library takes an
 * unknown error for success and repeats the call forever.
 */
function withKnownErrors(call: () => number): number {
  try {
    return call();
  } catch (error) {
    throw (error as Error).name === "ErrnoError" ? error : errno(inputOutput);
  }
}
