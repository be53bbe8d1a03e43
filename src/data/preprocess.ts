import type { PreprocessMode } from "../checkpoint.ts";

const bgrMean = [103.939, 116.779, 123.68];
const torchMean = [0.485, 0.456, 0.406];
const torchDeviation = [0.229, 0.224, 0.225];

/** RGB values 0-255 as the mode wants them, in place (`keras/src/applications/imagenet_utils.py`). Three channels. */
export function preprocessPixels(pixels: Float32Array, mode: PreprocessMode): void {
  if (mode === "none") return;
  for (let index = 0; index < pixels.length; index += 3) {
    const [red, green, blue] = [pixels[index]!, pixels[index + 1]!, pixels[index + 2]!];
    if (mode === "caffe") {
      pixels[index] = blue - bgrMean[0]!;
      pixels[index + 1] = green - bgrMean[1]!;
      pixels[index + 2] = red - bgrMean[2]!;
    } else {
      [red, green, blue].forEach((value, channel) => {
        pixels[index + channel] =
          mode === "tf" ? value / 127.5 - 1 : (value / 255 - torchMean[channel]!) / torchDeviation[channel]!;
      });
    }
  }
}
