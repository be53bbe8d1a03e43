/** The independent HDF5 reader, which has no types of its own. */
declare module "jsfive" {
  export class Dataset {
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly value: readonly number[];
    readonly attrs: Readonly<Record<string, unknown>>;
  }
  export class Group {
    readonly keys: readonly string[];
    readonly attrs: Readonly<Record<string, unknown>>;
    get(path: string): Group | Dataset;
  }
  export class File extends Group {
    constructor(buffer: ArrayBuffer, name?: string);
  }
}
