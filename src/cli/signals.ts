import { constants } from "node:os";

/** What asks a process to end: Ctrl-C, a scheduler or `timeout`, a terminal that closes. */
const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Calls `stop` once, with the shell's exit code for the signal (130 for Ctrl-C). A second signal of any kind ends the process. */
export function onFirstSignal(stop: (exitCode: number) => void): void {
  const first = (name: NodeJS.Signals): void => {
    for (const signal of endingSignals) process.off(signal, first);
    stop(128 + constants.signals[name]);
  };
  for (const signal of endingSignals) process.on(signal, first);
}
