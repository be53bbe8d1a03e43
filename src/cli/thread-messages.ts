import type { MessagePort } from "node:worker_threads";

/** The terminal as the thread that works sees it. */
export interface WorkData {
  /** Columns of stdout and stderr, shared; 0 where there is no terminal. */
  readonly columns: Int32Array;
  /** True if stderr is a terminal. */
  readonly isTerminal: boolean;
  /** True if stdout is a terminal; false where absent. */
  readonly isOutputTerminal?: boolean;
  /** True for each stream that shows colors, as `tty.WriteStream.hasColors` says, which heeds NO_COLOR; none where absent. */
  readonly colors?: { readonly stdout: boolean; readonly stderr: boolean };
  readonly port: MessagePort;
}

/** Messages of the thread that works to the main thread. */
export type FromWork =
  /** A command begins. */
  | { readonly kind: "runs"; readonly interruptible: boolean }
  /** A file or folder that must not stay unless it is complete. */
  | { readonly kind: "unfinished"; readonly path: string; readonly state: "begun" | "ended" };

/** Messages of the main thread to the thread that works. */
export type ToWork =
  /** Asks the command to stop at its next step. */
  | { readonly kind: "stop"; readonly exitCode: number }
  /** Ends the thread where it stands. */
  | { readonly kind: "leave" };
