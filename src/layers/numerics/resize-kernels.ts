/**
 * @file The kernels of TensorFlow's image resizing: the weight of a pixel by its distance in pixels, 0 or more
 * (`tensorflow/core/kernels/image/sampling_kernels.h`).
 */

/** Arithmetic on numbers, or on tensors value by value. */
export interface Arithmetic<T> {
  add(a: T, b: number): T;
  mul(a: T, b: T | number): T;
  div(a: T, b: T | number): T;
  sin(x: T): T;
  /** Returns `near` where `x` is at most `limit`, else `far`. */
  upTo(x: T, limit: number, near: T | number, far: T | number): T;
}

export const numberArithmetic: Arithmetic<number> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sin: Math.sin,
  upTo: (x, limit, near, far) => (x <= limit ? near : far),
};

/** Computes the cubic kernel of Keys with `a = -0.5`, which has radius 2. */
export function keysCubic<T>(x: T, arithmetic: Arithmetic<T>): T {
  return cubic(x, [1, 0, -2.5, 1.5], [2, -4, 2.5, -0.5], arithmetic);
}

/** Computes the cubic kernel of Mitchell and Netravali with `B = C = 1/3`, which has radius 2. */
export function mitchellCubic<T>(x: T, arithmetic: Arithmetic<T>): T {
  return cubic(x, [8 / 9, 0, -2, 7 / 6], [16 / 9, -10 / 3, 2, -7 / 18], arithmetic);
}

/** Computes the windowed sinc of Lanczos. */
export function lanczos<T>(x: T, radius: number, { mul, div, sin, upTo }: Arithmetic<T>): T {
  // Avoids a division by zero, whose gradient would be NaN even where the result is not used.
  const safe = upTo(x, 1e-3, 1, x);
  const angle = mul(safe, Math.PI);
  const waves = mul(mul(sin(angle), sin(div(angle, radius))), radius);
  return upTo(x, radius, upTo(x, 1e-3, 1, div(waves, mul(angle, angle))), 0);
}

type Coefficients = readonly [number, number, number, number];

/** Evaluates one cubic polynomial up to 1 and another up to 2. Coefficients begin with the constant. */
function cubic<T>(x: T, near: Coefficients, far: Coefficients, { add, mul, upTo }: Arithmetic<T>): T {
  const evaluated = ([constant, linear, square, cube]: Coefficients): T =>
    add(mul(add(mul(add(mul(x, cube), square), x), linear), x), constant);
  return upTo(x, 2, upTo(x, 1, evaluated(near), evaluated(far)), 0);
}
