/** The thread that reads images for `reading-thread.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { loadSharp } from "./decoder-info.ts";
import { type ImageOptions, loadImage } from "./images.ts";
import type { ReadAnswer, ReadRequest } from "./reading-thread.ts";
import { limiter, readConcurrency } from "./reading-turns.ts";

const options = workerData as ImageOptions;
const inTurn = limiter(readConcurrency());

parentPort?.on("message", (request: ReadRequest | null) => {
  if (request === null) parentPort?.close();
  else void inTurn(() => answer(request));
});
void loadSharp().then(
  () => say({ isReady: true }),
  () => parentPort?.close(),
);

async function answer({ id, path, spare }: ReadRequest): Promise<void> {
  const outcome = await loadImage(path, options, spare).catch(() => null);
  const isValue = outcome !== null && "value" in outcome;
  say({ id, outcome }, isValue ? [outcome.value.buffer as ArrayBuffer] : []);
}

function say(answer: ReadAnswer, transferred: ArrayBuffer[] = []): void {
  parentPort?.postMessage(answer, transferred);
}
