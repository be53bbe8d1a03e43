/** Types of jsfive, an independent HDF5 reader that ships none. */
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
