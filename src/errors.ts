/** What is wrong with a file: its bytes, its structure, or the weights in it. */
export class KerasFileError extends Error {
  override readonly name = "KerasFileError";
  readonly code: string;
  constructor(message: string, code = "file") {
    super(message);
    this.code = code;
  }
}

/** What is wrong with a model: an unsupported layer, a graph that cannot be cut or changed as asked. */
export class TopologyError extends Error {
  override readonly name = "TopologyError";
  readonly code: string;
  constructor(message: string, code = "topology") {
    super(message);
    this.code = code;
  }
}

/** What is wrong with what was asked: a flag, an option, a policy. The command line exits with 2 on these. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code: string;
  constructor(message: string, code = "usage") {
    super(message);
    this.code = code;
  }
}

/** What is wrong with the data: no pictures, one class, broken files. */
export class DataError extends Error {
  override readonly name = "DataError";
  readonly code: string;
  constructor(message: string, code = "data") {
    super(message);
    this.code = code;
  }
}

/** What is wrong with the machine: no engine, no space, no permission. */
export class MachineError extends Error {
  override readonly name = "MachineError";
  readonly code: string;
  constructor(message: string, code = "machine") {
    super(message);
    this.code = code;
  }
}
