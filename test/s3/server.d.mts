/** A server's program. */
export interface ServerProgram {
  readonly name: string;
  readonly path: string;
}
export function findServer(): ServerProgram | undefined;
export function installServer(): ServerProgram | undefined;
