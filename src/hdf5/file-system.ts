import { ftruncateSync, readSync, writeSync } from "node:fs";
import { FS } from "h5wasm/node";

/** What the library sees as a file. Positions and sizes in bytes. */
export interface VirtualFile {
  size(): number;
  /** Fills `target` from `position`; returns how much of it there was. */
  read(target: Uint8Array, position: number): number;
  write(source: Uint8Array, position: number): void;
  truncate(size: number): void;
}

/** Part of an open file, from `start`: all that follows is the library's to write. The descriptor stays the caller's. */
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

/** A file in memory that cannot be written. */
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

/** A file in memory for the text of an error, which the library writes and reads back. */
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

/** The path under which the library finds `file` until {@link unmount}. */
export function mount(file: VirtualFile): string {
  mounts += 1;
  const path = `/virtual/${mounts}.h5`;
  mounted.set(path, file);
  return path;
}

/** Takes the file from the library, even one that it failed to close. */
export function unmount(path: string): void {
  mounted.delete(path);
  for (const stream of fileSystem.streams) {
    if (stream?.path === path) stream.file = closedFile;
  }
}

const closedFile: VirtualFile = { size: () => 0, read: () => 0, write: refuseWrite, truncate: refuseWrite };

// Numbers of emscripten's errno.h.
const notFound = 44;
const badDescriptor = 8;
const inputOutput = 29;

function errno(code: number): Error {
  return Object.assign(new Error(`errno ${code}`), { name: "ErrnoError", errno: code });
}

interface Stream {
  readonly path?: string;
  file?: VirtualFile;
  position: number;
}

/** The part of emscripten's file system that the library's calls go through. */
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

let fileSystem: FileSystem;
/** Where the C library's tmpfile() wants to be; h5wasm writes each error there before it throws it. */
const errorText = /^\/tmp\/tmpfile_/;

/**
 * Puts our files in place of the machine's: the library can open what {@link mount} names and nothing else, so that no
 * file makes it read another one (external links, external storage, virtual datasets) or load a filter plug-in.
 */
export function guardFileSystem(): void {
  fileSystem = FS as unknown as FileSystem;
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

/** What fstat gives. HDF5 tells files apart by device and inode. */
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

const operations = {
  read: (stream: Stream, heap: Int8Array, offset: number, length: number, position: number): number =>
    asLibraryKnows(() =>
      stream.file!.read(new Uint8Array(heap.buffer, heap.byteOffset + offset, length), position),
    ),
  write: (stream: Stream, heap: Int8Array, offset: number, length: number, position: number): number =>
    asLibraryKnows(() => {
      stream.file!.write(new Uint8Array(heap.buffer, heap.byteOffset + offset, length), position);
      return length;
    }),
  llseek: (stream: Stream, offset: number, whence: number): number =>
    offset + (whence === 1 ? stream.position : whence === 2 ? stream.file!.size() : 0),
};

/** An error whose code emscripten does not know would be none to the library, which then tries again for ever. */
function asLibraryKnows(call: () => number): number {
  try {
    return call();
  } catch (error) {
    throw (error as Error).name === "ErrnoError" ? error : errno(inputOutput);
  }
}
