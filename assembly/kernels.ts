/**
 * Kernels on the memory of TensorFlow.js's WebAssembly backend, and one on a memory of the reader of images, four floats at a time, in
 * AssemblyScript. Addresses are bytes; sizes and steps are floats. No function allocates or keeps anything. `npm run kernels` compiles them into
 * `src/engine/wasm-kernels/simd-binary.ts`.
 */

/** Rows that are added up before they are added to a sum, which keeps its rounding small. */
const rowsTogether: usize = 128;

/** Tells if one of `count` values is NaN. */
export function holdsNaN(x: usize, count: usize): bool {
  let marks = i32x4.splat(0);
  let index: usize = 0;
  for (; index + 4 <= count; index += 4) {
    const values = v128.load(x + (index << 2));
    marks = v128.or(marks, f32x4.ne(values, values));
  }
  let found = v128.any_true(marks);
  for (; index < count; index++) {
    if (isNaN<f32>(load<f32>(x + (index << 2)))) found = true;
  }
  return found;
}

/** Writes each of `count` values, none below `low` or above `high`. NaN stays NaN. */
export function clip(x: usize, y: usize, count: usize, low: f32, high: f32): void {
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  let at: usize = 0;
  const whole = (count & ~3) << 2;
  for (; at < whole; at += 16) v128.store(y + at, f32x4.min(f32x4.max(v128.load(x + at), lows), highs));
  for (; at < count << 2; at += 4) store<f32>(y + at, min(max(load<f32>(x + at), low), high));
}

/** Writes `dy` where `low < y < high`, else 0. */
export function gateGradient(dy: usize, y: usize, dx: usize, count: usize, low: f32, high: f32): void {
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  let at: usize = 0;
  const whole = (count & ~3) << 2;
  for (; at < whole; at += 16) {
    const values = v128.load(y + at);
    const open = v128.and(f32x4.gt(values, lows), f32x4.lt(values, highs));
    v128.store(dx + at, v128.and(v128.load(dy + at), open));
  }
  for (; at < count << 2; at += 4) {
    const value = load<f32>(y + at);
    store<f32>(dx + at, value > low && value < high ? load<f32>(dy + at) : 0);
  }
}

/**
 * Adam's update of `count` values (`keras/src/optimizers/adam.py`): overwrites the averages and writes the moved values.
 * `first` and `second` are one minus the decays, `rate` the learning rate with the correction of the bias.
 */
export function adam(
  variable: usize,
  gradient: usize,
  momentum: usize,
  velocity: usize,
  moved: usize,
  count: usize,
  first: f32,
  second: f32,
  rate: f32,
  epsilon: f32,
): void {
  const firsts = f32x4.splat(first);
  const seconds = f32x4.splat(second);
  const rates = f32x4.splat(rate);
  const epsilons = f32x4.splat(epsilon);
  let at: usize = 0;
  const whole = (count & ~3) << 2;
  for (; at < whole; at += 16) {
    const slope = v128.load(gradient + at);
    let mean = v128.load(momentum + at);
    mean = f32x4.add(mean, f32x4.mul(f32x4.sub(slope, mean), firsts));
    let square = v128.load(velocity + at);
    square = f32x4.add(square, f32x4.mul(f32x4.sub(f32x4.mul(slope, slope), square), seconds));
    v128.store(momentum + at, mean);
    v128.store(velocity + at, square);
    const step = f32x4.div(f32x4.mul(mean, rates), f32x4.add(f32x4.sqrt(square), epsilons));
    v128.store(moved + at, f32x4.sub(v128.load(variable + at), step));
  }
  for (; at < count << 2; at += 4) {
    const slope = load<f32>(gradient + at);
    let mean = load<f32>(momentum + at);
    mean += (slope - mean) * first;
    let square = load<f32>(velocity + at);
    square += (slope * slope - square) * second;
    store<f32>(momentum + at, mean);
    store<f32>(velocity + at, square);
    store<f32>(moved + at, load<f32>(variable + at) - (mean * rate) / (sqrt<f32>(square) + epsilon));
  }
}

/**
 * RMSprop's update of `count` values (`keras/src/optimizers/rmsprop.py`): overwrites the average and writes the moved values.
 * `rest` is one minus `rho`.
 */
export function rmsprop(
  variable: usize,
  gradient: usize,
  velocity: usize,
  moved: usize,
  count: usize,
  rho: f32,
  rest: f32,
  rate: f32,
  epsilon: f32,
): void {
  const rhos = f32x4.splat(rho);
  const rests = f32x4.splat(rest);
  const rates = f32x4.splat(rate);
  const epsilons = f32x4.splat(epsilon);
  let at: usize = 0;
  const whole = (count & ~3) << 2;
  for (; at < whole; at += 16) {
    const slope = v128.load(gradient + at);
    const kept = f32x4.mul(v128.load(velocity + at), rhos);
    const square = f32x4.add(kept, f32x4.mul(f32x4.mul(slope, slope), rests));
    v128.store(velocity + at, square);
    const step = f32x4.div(f32x4.mul(slope, rates), f32x4.sqrt(f32x4.add(square, epsilons)));
    v128.store(moved + at, f32x4.sub(v128.load(variable + at), step));
  }
  for (; at < count << 2; at += 4) {
    const slope = load<f32>(gradient + at);
    const square = load<f32>(velocity + at) * rho + slope * slope * rest;
    store<f32>(velocity + at, square);
    store<f32>(moved + at, load<f32>(variable + at) - (slope * rate) / sqrt<f32>(square + epsilon));
  }
}

/**
 * Transposes a matrix `[rows, columns]` whose rows begin `step` floats apart into one `[columns, rows]` whose rows begin
 * `turnedStep` floats apart.
 */
export function transpose(
  x: usize,
  y: usize,
  rows: usize,
  columns: usize,
  step: usize,
  turnedStep: usize,
): void {
  const from = step << 2;
  const to = turnedStep << 2;
  const wholeRows = rows & ~3;
  const wholeColumns = columns & ~3;
  for (let begin: usize = 0; begin < wholeColumns; begin += 16) {
    const end = min(begin + 16, wholeColumns);
    for (let row: usize = 0; row < wholeRows; row += 4) {
      for (let column = begin; column < end; column += 4) {
        const source = x + row * from + (column << 2);
        const target = y + column * to + (row << 2);
        const a = v128.load(source);
        const b = v128.load(source + from);
        const c = v128.load(source + 2 * from);
        const d = v128.load(source + 3 * from);
        const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
        const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
        const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
        const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
        v128.store(target, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
        v128.store(target + to, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
        v128.store(target + 2 * to, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5));
        v128.store(target + 3 * to, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7));
      }
    }
  }
  for (let row: usize = 0; row < rows; row++) {
    for (let column = row < wholeRows ? wholeColumns : 0; column < columns; column++) {
      store<f32>(y + column * to + (row << 2), load<f32>(x + row * from + (column << 2)));
    }
  }
}

/** Writes the sum of each column of a matrix `[rows, columns]`, divided by `divisor`. */
export function columnSums(x: usize, y: usize, rows: usize, columns: usize, divisor: f32): void {
  const step = columns << 2;
  const divisors = f64x2.splat(divisor);
  let column: usize = 0;
  for (; column + 4 <= columns; column += 4) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let begin: usize = 0; begin < rows; begin += rowsTogether) {
      const end = min(begin + rowsTogether, rows);
      let sum = f32x4.splat(0);
      for (let row = begin; row < end; row++) sum = f32x4.add(sum, v128.load(x + row * step + (column << 2)));
      low = f64x2.add(low, f64x2.promote_low_f32x4(sum));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(sum, sum, 2, 3, 0, 1)));
    }
    const first = f32x4.demote_f64x2_zero(f64x2.div(low, divisors));
    const second = f32x4.demote_f64x2_zero(f64x2.div(high, divisors));
    v128.store(y + (column << 2), v128.shuffle<f32>(first, second, 0, 1, 4, 5));
  }
  for (; column < columns; column++) {
    let total: f64 = 0;
    for (let row: usize = 0; row < rows; row++) total += load<f32>(x + row * step + (column << 2));
    store<f32>(y + (column << 2), <f32>(total / divisor));
  }
}

/** Writes the sum of each row of a matrix `[rows, columns]`, divided by `divisor`. */
export function rowSums(x: usize, y: usize, rows: usize, columns: usize, divisor: f32): void {
  const whole = columns & ~7;
  for (let row: usize = 0; row < rows; row++) {
    const start = x + ((row * columns) << 2);
    let total: f64 = 0;
    let column: usize = 0;
    while (column < whole) {
      const end = min(column + rowsTogether, whole);
      let even = f32x4.splat(0);
      let odd = f32x4.splat(0);
      for (; column < end; column += 8) {
        even = f32x4.add(even, v128.load(start + (column << 2)));
        odd = f32x4.add(odd, v128.load(start + (column << 2), 16));
      }
      const sum = f32x4.add(even, odd);
      total += <f64>f32x4.extract_lane(sum, 0) + <f64>f32x4.extract_lane(sum, 1);
      total += <f64>f32x4.extract_lane(sum, 2) + <f64>f32x4.extract_lane(sum, 3);
    }
    for (; column < columns; column++) total += load<f32>(start + (column << 2));
    store<f32>(y + (row << 2), <f32>(total / divisor));
  }
}

/** Writes the maximum of each column of a matrix `[rows, columns]`, NaN if it holds one. */
export function columnMaxima(x: usize, y: usize, rows: usize, columns: usize): void {
  const step = columns << 2;
  let column: usize = 0;
  for (; column + 4 <= columns; column += 4) {
    let most = v128.load(x + (column << 2));
    for (let row: usize = 1; row < rows; row++)
      most = f32x4.max(most, v128.load(x + row * step + (column << 2)));
    v128.store(y + (column << 2), most);
  }
  for (; column < columns; column++) {
    let most = load<f32>(x + (column << 2));
    for (let row: usize = 1; row < rows; row++) most = max(most, load<f32>(x + row * step + (column << 2)));
    store<f32>(y + (column << 2), most);
  }
}

/**
 * Adds to each of `channels` sums the products of two sequences of `count` positions, which begin `step` and `otherStep`
 * floats apart.
 */
export function addProducts(
  x: usize,
  other: usize,
  sums: usize,
  count: usize,
  channels: usize,
  step: usize,
  otherStep: usize,
): void {
  let channel: usize = 0;
  for (; channel + 4 <= channels; channel += 4) {
    const at = channel << 2;
    let sum = v128.load(sums + at);
    for (let index: usize = 0; index < count; index++) {
      const value = v128.load(x + ((index * step) << 2) + at);
      sum = f32x4.add(sum, f32x4.mul(value, v128.load(other + ((index * otherStep) << 2) + at)));
    }
    v128.store(sums + at, sum);
  }
  for (; channel < channels; channel++) {
    const at = channel << 2;
    let sum = load<f32>(sums + at);
    for (let index: usize = 0; index < count; index++) {
      sum += load<f32>(x + ((index * step) << 2) + at) * load<f32>(other + ((index * otherStep) << 2) + at);
    }
    store<f32>(sums + at, sum);
  }
}

/** Returns four bytes as floats. */
function pixelAt(place: usize): v128 {
  return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(place))));
}

/**
 * Writes a row of `count` pixels of 3 or 4 channels, each between four pixels of two rows of bytes: across first, then `down`. `columns` has
 * for each the offsets of its two columns in bytes and the weight of the second. A load and a store may reach four floats or bytes, so up
 * to 4 bytes beyond the rows are read, and up to 4 beyond the result written.
 */
export function resizeRow(
  top: usize,
  bottom: usize,
  columns: usize,
  y: usize,
  count: usize,
  channels: usize,
  down: f32,
): void {
  const downs = f32x4.splat(down);
  const end = columns + count * 12;
  for (let column = columns; column < end; column += 12, y += channels << 2) {
    const left = load<u32>(column);
    const right = load<u32>(column, 4);
    const across = v128.load32_splat(column, 8);
    const topLeft = pixelAt(top + left);
    const bottomLeft = pixelAt(bottom + left);
    const above = f32x4.add(topLeft, f32x4.mul(f32x4.sub(pixelAt(top + right), topLeft), across));
    const below = f32x4.add(bottomLeft, f32x4.mul(f32x4.sub(pixelAt(bottom + right), bottomLeft), across));
    v128.store(y, f32x4.add(above, f32x4.mul(f32x4.sub(below, above), downs)));
  }
}
