/** The arrays that the jobs of `recurrent.mjs` train on: 8 batches of 32 sequences of 60 words, or of 10 small images. */
export const batch = 32;

export function samplesFor(modelConfig) {
  const [words, steps, rows] = [2000, 60, batch * 8];
  const values = (count, of) => Array.from({ length: count }, (_, index) => of(index));
  const isMovie = JSON.stringify(modelConfig).includes("ConvLSTM2D");
  const word = (index) => Math.floor(Math.abs(Math.sin(index * 78.233)) * words);
  const pixel = (index) => Math.sin(index * 12.9898);
  const shape = isMovie ? [rows, 10, 24, 24, 3] : [rows, steps];
  const count = shape.reduce((product, size) => product * size, 1);
  const inputs = isMovie
    ? { dtype: "float32", shape, data: Float32Array.from(values(count, pixel)) }
    : { dtype: "int32", shape, data: Int32Array.from(values(count, word)) };
  const labels = Int32Array.from(values(rows, (index) => index % 10));
  return { inputs, targets: { dtype: "int32", shape: [rows, 1], data: labels } };
}
