/**
 * Random image layers that train here (`keras/src/layers/preprocessing/image_preprocessing`): each image draws its own numbers, from
 * another generator than Keras's.
 */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { randomGenerator } from "../topology/random.ts";
import { type Affine, affineTransformed, type Reading } from "./affine.ts";
import { numberIn, numberList, stringIn, unsupported } from "./config.ts";
import { channelsLast } from "./data-format.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

/** Numbers of one image, uniform between two bounds. */
type Draw = (low: number, high: number) => number;

export const randomImageKernels: Readonly<Record<string, Kernel>> = {
  RandomFlip: disturbing(flipped),
  RandomRotation: disturbing((image, { config }, draws) => {
    const turns = factorIn(config, "factor");
    return transformed(image, config, draws, (draw, width, height) =>
      rotation(2 * Math.PI * draw(...turns), width, height),
    );
  }),
  RandomZoom: disturbing((image, { config }, draws) => {
    const tall = factorIn(config, "height_factor");
    const wide = config["width_factor"] == null ? undefined : factorIn(config, "width_factor");
    return transformed(image, config, draws, (draw, width, height) => {
      const down = 1 + draw(...tall);
      const across = wide ? 1 + draw(...wide) : down;
      return [across, 0, ((width - 1) / 2) * (1 - across), 0, down, ((height - 1) / 2) * (1 - down)];
    });
  }),
  RandomTranslation: disturbing((image, { config }, draws) => {
    const tall = factorIn(config, "height_factor");
    const wide = factorIn(config, "width_factor");
    return transformed(image, config, draws, (draw, width, height) => {
      const down = draw(...tall) * height;
      return [1, 0, -draw(...wide) * width, 0, 1, -down];
    });
  }),
  RandomContrast: disturbing((image, { config }, draws) => {
    const [low, high] = factorIn(config, "factor", 0);
    const factors = perImage(draws.map((draw) => draw(1 - low, 1 + high)));
    const mean = tf.mean(image, [1, 2], true);
    return clipped(tf.add(tf.mul(tf.sub(image, mean), factors), mean), config);
  }),
  RandomBrightness: disturbing((image, { config }, draws) => {
    const [low, high] = factorIn(config, "factor");
    const [darkest, brightest] = numberList(config["value_range"]) as [number, number];
    const change = perImage(draws.map((draw) => draw(low, high) * (brightest - darkest)));
    return clipped(tf.add(image, change), config);
  }),
};

type Disturb = (image: tf.Tensor, call: KernelCall, draws: readonly Draw[]) => tf.Tensor;

/** In training what `disturb` makes of channels-last images, else the images. */
function disturbing(disturb: Disturb): Kernel {
  return (call) => {
    const { inputs, config, context } = call;
    if (!context.training) return inputs[0]!;
    const generator = randomGenerator(context.random.nextSeed());
    const draw: Draw = (low, high) => low + (high - low) * generator.nextFloat();
    return channelsLast(tf.cast(inputs[0]!, "float32"), config, (image) =>
      disturb(
        image,
        call,
        Array.from({ length: image.shape[0]! }, () => draw),
      ),
    );
  };
}

/** In Keras 3 one draw turns an image both ways, before it each way has its own. */
function flipped(image: tf.Tensor, { config, context }: KernelCall, draws: readonly Draw[]): tf.Tensor {
  const mode = stringIn(config, "mode");
  const once = draws.map((draw) => draw(0, 1) <= 0.5);
  const again = context.keras === 3 ? once : draws.map((draw) => draw(0, 1) <= 0.5);
  const turned = (value: tf.Tensor, axis: number, flips: readonly boolean[]): tf.Tensor => {
    const shares = perImage(flips.map(Number));
    return tf.add(tf.mul(tf.reverse(value, axis), shares), tf.mul(value, tf.sub(1, shares)));
  };
  const across = mode.includes("horizontal") ? turned(image, 2, once) : image;
  return mode.includes("vertical") ? turned(across, 1, again) : across;
}

/** Around the middle of the image. */
function rotation(angle: number, width: number, height: number): Affine {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [(width - 1) / 2, (height - 1) / 2];
  return [cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos];
}

function transformed(
  image: tf.Tensor,
  config: JsonObject,
  draws: readonly Draw[],
  mapOf: (draw: Draw, width: number, height: number) => Affine,
): tf.Tensor {
  const [, height, width] = image.shape as [number, number, number];
  const reading = {
    interpolation: stringIn(config, "interpolation"),
    fillMode: stringIn(config, "fill_mode"),
    fillValue: numberIn(config, "fill_value"),
  } as Reading;
  return affineTransformed(
    image,
    draws.map((draw) => mapOf(draw, width, height)),
    reading,
  );
}

/** Both bounds of a factor; a lone number is the upper one, and the lower one its opposite or `least`. */
function factorIn(config: JsonObject, name: string, least?: number): [number, number] {
  const bounds = numberList(config[name]);
  const [one, other] = bounds;
  if (one === undefined) throw unsupported(config, `no ${name}`, "Give the layer one and save again.");
  if (other === undefined) return [least ?? -Math.abs(one), Math.abs(one)];
  return one <= other ? [one, other] : [other, one];
}

function perImage(values: readonly number[]): tf.Tensor {
  return tf.tensor4d([...values], [values.length, 1, 1, 1]);
}

function clipped(image: tf.Tensor, config: JsonObject): tf.Tensor {
  const [low, high] = numberList(config["value_range"]) as [number, number];
  return tf.clipByValue(image, low, high);
}
