import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, sizesAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { convolved } from "./convolution.ts";
import { recurrentLayer } from "./recurrent.ts";
import type { CellSpec } from "./recurrent-cells.ts";
import { gateDefaults } from "./recurrent-cells.ts";
import { variable } from "./variables.ts";
import { channelCount, sampleSize } from "./windows.ts";

/** Creates the spec of an LSTM cell with convolutions over `rank` axes (`keras/src/layers/rnn/conv_lstm.py`). */
function convLstmCell(rank: number): CellSpec {
  const output = (config: JsonObject, step: Shape): Shape =>
    convolved(config, step, rank, countAt(config, "filters"));
  return {
    weights: (config, step) => {
      const window = sizesAt(config, "kernel_size", rank);
      const filters = countAt(config, "filters");
      const gates = 4 * filters;
      return [
        variable(config, "kernel", [...window, channelCount(step, config), gates]),
        variable(config, "recurrent_kernel", [...window, filters, gates], { argument: "recurrent" }),
        ...(booleanAt(config, "use_bias") ? [variable(config, "bias", [gates])] : []),
      ];
    },
    states: (config, step) => [output(config, step), output(config, step)],
    output,
    multiplyAdds: (config, step) => {
      const taps = sizesAt(config, "kernel_size", rank).reduce((product, size) => product * size, 1);
      const filters = countAt(config, "filters");
      return 4 * sampleSize(output(config, step)) * taps * (channelCount(step, config) + filters);
    },
  };
}

function convLstm(className: string, rank: number): LayerSpec {
  const cell = convLstmCell(rank);
  return recurrentLayer(
    className,
    {
      ...gateDefaults,
      strides: 1,
      padding: "valid",
      data_format: "channels_last",
      dilation_rate: 1,
      unit_forget_bias: true,
    },
    (config) => ({ cell, config }),
  );
}

export const convLstmSpecs: readonly LayerSpec[] = [
  convLstm("ConvLSTM1D", 1),
  convLstm("ConvLSTM2D", 2),
  convLstm("ConvLSTM3D", 3),
];
