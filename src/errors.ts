/** An error that names what is at fault: `code` is stable, `option` is the API's name of the option to change, where there is one. */
abstract class NamedError extends Error {
  readonly code: string;
  readonly option?: string;
  constructor(message: string, code: string, option?: string) {
    super(message);
    this.code = code;
    if (option !== undefined) this.option = option;
  }
}

/** An error in a file: its bytes, its structure, or the weights in it. */
export class KerasFileError extends NamedError {
  override readonly name = "KerasFileError";
  constructor(message: string, code = "file", option?: string) {
    super(message, code, option);
  }
}

/** An error in a model: an unsupported layer, or a graph that cannot be cut or changed as asked. */
export class TopologyError extends NamedError {
  override readonly name = "TopologyError";
  constructor(message: string, code = "topology", option?: string) {
    super(message, code, option);
  }
}

/** An error in the request: a flag, an option, a policy. The command line exits with 2. */
export class UsageError extends NamedError {
  override readonly name = "UsageError";
  constructor(message: string, code = "usage", option?: string) {
    super(message, code, option);
  }
}

/** An error in the data: no samples, a single class, broken files. */
export class DataError extends NamedError {
  override readonly name = "DataError";
  constructor(message: string, code = "data", option?: string) {
    super(message, code, option);
  }
}

/** An error of the machine: no engine, no space, no permission. */
export class MachineError extends NamedError {
  override readonly name = "MachineError";
  constructor(message: string, code = "machine", option?: string) {
    super(message, code, option);
  }
}
