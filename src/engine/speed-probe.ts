import { tf } from "./tf.ts";

/** What this engine does now, measured in well under a second. */
export interface MeasuredSpeed {
  /** In the convolutions of a forward pass. */
  readonly multiplyAddsPerSecond: number;
  /** Read and written by an elementwise operation. */
  readonly bytesPerSecond: number;
}

const positions = 28;
const channels = 128;
const images = 4;
const elements = 2 ** 21;
const repetitions = 5;

/** Times a 3x3 convolution of a middle stage and an addition; the median of a few, after a first that warms up. */
export async function probeSpeed(): Promise<MeasuredSpeed> {
  const pictures = tf.ones([images, positions, positions, channels]) as tf.Tensor4D;
  const filter = tf.ones([3, 3, channels, channels]) as tf.Tensor4D;
  const values = tf.ones([elements]);
  const convolution = await medianSeconds(() => tf.conv2d(pictures, filter, 1, "same"));
  const addition = await medianSeconds(() => tf.add(values, values));
  tf.dispose([pictures, filter, values]);
  return {
    multiplyAddsPerSecond: (images * positions ** 2 * 9 * channels ** 2) / convolution,
    bytesPerSecond: (3 * 4 * elements) / addition,
  };
}

async function medianSeconds(run: () => tf.Tensor): Promise<number> {
  const times: number[] = [];
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    const started = performance.now();
    const result = run();
    await result.data();
    result.dispose();
    if (repetition > 0) times.push((performance.now() - started) / 1000);
  }
  return times.sort((a, b) => a - b)[Math.floor(repetitions / 2)]!;
}
