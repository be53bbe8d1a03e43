/** An object in a listing. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** Text that changes with the object's bytes; null where the server does not list it. It need not be a hash of them. */
  readonly etag: string | null;
}

/** The objects and the folders directly below a prefix. */
export interface ObjectFolder {
  readonly objects: readonly StoredObject[];
  /** Prefixes of the folders, each ending in a slash. */
  readonly folders: readonly string[];
}

/** Bytes of an object, or of a part of it. */
export interface ObjectBytes {
  readonly bytes: Uint8Array;
  readonly etag: string | null;
}

/**
 * The operations on a bucket that features and data need. An object is written whole or not at all; whoever lists or reads it sees all
 * of it or nothing.
 *
 * Every call throws a {MachineError} that names the address and the way out where the storage refuses or does not answer, after the
 * attempts that are usual for it.
 */
export interface ObjectStore {
  /** Yields all objects whose keys begin with `prefix`, in the order of their keys' bytes. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Lists what lies directly below a prefix, which is empty or ends in a slash. */
  listFolder(prefix: string): Promise<ObjectFolder>;
  /** Returns an object, or the bytes from `from` to `to` (exclusive) of it; null where there is none. */
  get(key: string, range?: { readonly from: number; readonly to: number }): Promise<ObjectBytes | null>;
  /** Returns what a listing says of an object; null where there is none. */
  find(key: string): Promise<StoredObject | null>;
  /** Writes an object in the place of any other. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Writes an object where there is none; false if one is there, which stays as it is. */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>;
}
