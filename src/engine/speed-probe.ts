import { tf } from "./tf.ts";
import { readsLater } from "./webgpu/repeatable.ts";

/** The speed of an engine. */
export interface MeasuredSpeed {
  /** Multiply-adds a second in the convolutions of a forward pass. */
  readonly multiplyAddsPerSecond: number;
  /** Bytes a second that an elementwise operation reads and writes. */
  readonly bytesPerSecond: number;
  /** Seconds of an operation on next to nothing. */
  readonly secondsPerOperation: number;
}

const positions = 28;
const channels = 128;
const images = 4;
/**
 * The number of elements of the tensors that are added: like the activations of a batch, they do not fit a processor's
 * cache.
 */
const elements = 2 ** 23;
/** Rounds of small operations that are timed together, and operations of a round. */
const rounds = { count: 10, operations: 6 } as const;
const warmups = 1;
const repetitions = 3;
/** Milliseconds after which a slow engine is not timed again. */
const longestMs = 500;

const measured = new Map<string, MeasuredSpeed>();

/** Returns the speed of the engine, which is measured once a process, in well under a second. */
export async function probeSpeed(): Promise<MeasuredSpeed> {
  const engine = tf.getBackend();
  const speed = measured.get(engine) ?? (await measureSpeed());
  measured.set(engine, speed);
  return speed;
}

/** Times a 3x3 convolution of a middle stage and additions: the median of a few runs, after some that warm up. */
async function measureSpeed(): Promise<MeasuredSpeed> {
  const batch = tf.ones([images, positions, positions, channels]) as tf.Tensor4D;
  const filter = tf.ones([3, 3, channels, channels]) as tf.Tensor4D;
  // `tf.ones` would fill an array here first.
  const values = tf.fill([elements], 1);
  const convolution = await medianSeconds(() => tf.conv2d(batch, filter, 1, "same"));
  const addition = await medianSeconds(() => tf.add(values, values));
  const few = tf.ones([1, 8]) as tf.Tensor2D;
  const small = await medianSeconds(() =>
    tf.tidy(() => Array.from({ length: rounds.count }).reduce<tf.Tensor2D>(smallOperations, few)),
  );
  tf.dispose([batch, filter, values, few]);
  return {
    multiplyAddsPerSecond: (images * positions ** 2 * 9 * channels ** 2) / convolution,
    bytesPerSecond: (3 * 4 * elements) / addition,
    secondsPerOperation: small / (rounds.count * rounds.operations),
  };
}

/** Runs different operations on next to nothing, as a step of a recurrent cell does. */
function smallOperations(values: tf.Tensor2D): tf.Tensor2D {
  const [first, second] = tf.split(values, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
  return tf.concat([tf.mul(tf.sigmoid(first), tf.tanh(second)), tf.add(first, second)], 1);
}

/** Returns the median time of `run` in seconds, until its result is there. */
async function medianSeconds(run: () => tf.Tensor): Promise<number> {
  const times: number[] = [];
  const begun = performance.now();
  for (let repetition = -warmups; repetition < repetitions; repetition++) {
    const started = performance.now();
    if (times.length > 0 && started - begun > longestMs) break;
    const result = run();
    if (readsLater()) await computed(result);
    const seconds = (performance.now() - started) / 1000;
    result.dispose();
    if (repetition >= 0) times.push(seconds);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Waits until a GPU has computed a tensor, of which it reads one value. Other engines have computed when a call returns. */
async function computed(tensor: tf.Tensor): Promise<void> {
  const first = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await first.data();
  first.dispose();
}
