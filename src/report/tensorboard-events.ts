/** @file The messages of a TensorBoard event file (`event.proto`, `summary.proto` and `hparams/plugin_data.proto`), as far as they are written here. */
import type { Encode, Messages } from "../protobuf/encoder.ts";
import { encoderOf, field } from "../protobuf/encoder.ts";

/** Values of one step. Each belongs to a tag, which is the name of its chart. */
export type SummaryValue =
  | { readonly tag: string; readonly simpleValue: number }
  | { readonly tag: string; readonly histo: HistogramMessage }
  | { readonly tag: string; readonly image: ImageMessage }
  | { readonly tag: string; readonly metadata: object; readonly tensor: object };

/** Histogram of numbers: `bucket[i]` of them lie above `bucketLimit[i - 1]` and up to `bucketLimit[i]`. */
export interface HistogramMessage {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  readonly bucketLimit: readonly number[];
  readonly bucket: readonly number[];
}

export interface ImageMessage {
  readonly height: number;
  readonly width: number;
  /** Number of channels. */
  readonly colorspace: number;
  /** PNG. */
  readonly encodedImageString: Uint8Array;
}

/** Values of a hyperparameter. */
export type Hyperparameter = string | number | boolean;

/** A metric as the hparams page lists it: its tag, and the folder of its writer below the run. */
export interface ListedMetric {
  readonly group: string;
  readonly tag: string;
}

const eventMessages: Messages = {
  nested: {
    Image: {
      fields: {
        height: field(1, "int32"),
        width: field(2, "int32"),
        colorspace: field(3, "int32"),
        encodedImageString: field(4, "bytes"),
      },
    },
    Histogram: {
      fields: {
        min: field(1, "double"),
        max: field(2, "double"),
        num: field(3, "double"),
        sum: field(4, "double"),
        sumSquares: field(5, "double"),
        bucketLimit: field(6, "double", "repeated"),
        bucket: field(7, "double", "repeated"),
      },
    },
    PluginData: { fields: { pluginName: field(1, "string"), content: field(2, "bytes") } },
    Metadata: { fields: { pluginData: field(1, "PluginData") } },
    Dimension: { fields: { size: field(1, "int64") } },
    Shape: { fields: { dim: field(2, "Dimension", "repeated") } },
    Tensor: { fields: { dtype: field(1, "int32"), tensorShape: field(2, "Shape") } },
    // A zero that is no part of a oneof would be left out.
    Value: {
      oneofs: { value: { oneof: ["simpleValue", "image", "histo", "tensor"] } },
      fields: {
        tag: field(1, "string"),
        simpleValue: field(2, "float"),
        image: field(4, "Image"),
        histo: field(5, "Histogram"),
        tensor: field(8, "Tensor"),
        metadata: field(9, "Metadata"),
      },
    },
    Summary: { fields: { value: field(1, "Value", "repeated") } },
    Event: {
      fields: {
        wallTime: field(1, "double"),
        step: field(2, "int64"),
        fileVersion: field(3, "string"),
        summary: field(5, "Summary"),
      },
    },
  },
};

const hparamsMessages: Messages = {
  nested: {
    /** `google.protobuf.Value` */
    Value: {
      oneofs: { kind: { oneof: ["numberValue", "stringValue", "boolValue"] } },
      fields: {
        numberValue: field(2, "double"),
        stringValue: field(3, "string"),
        boolValue: field(4, "bool"),
      },
    },
    HparamEntry: { fields: { key: field(1, "string"), value: field(2, "Value") } },
    HparamInfo: { fields: { name: field(1, "string"), type: field(4, "int32") } },
    MetricName: { fields: { group: field(1, "string"), tag: field(2, "string") } },
    MetricInfo: { fields: { name: field(1, "MetricName") } },
    Experiment: {
      fields: {
        timeCreatedSecs: field(3, "double"),
        hparamInfos: field(4, "HparamInfo", "repeated"),
        metricInfos: field(5, "MetricInfo", "repeated"),
      },
    },
    SessionStart: {
      fields: { hparams: field(1, "HparamEntry", "repeated"), startTimeSecs: field(5, "double") },
    },
    SessionEnd: { fields: { status: field(1, "int32"), endTimeSecs: field(2, "double") } },
    PluginData: {
      fields: {
        version: field(1, "int32"),
        experiment: field(2, "Experiment"),
        sessionStartInfo: field(3, "SessionStart"),
        sessionEndInfo: field(4, "SessionEnd"),
      },
    },
  },
};

/** `tensorboard.hparams.DataType` */
const hparamType = { string: 1, boolean: 2, number: 3 } as const;
/** `tensorboard.hparams.Status` */
const sessionStatus = { success: 1, failure: 2 } as const;
/** `DataType.DT_FLOAT` */
const floatType = 1;

/** Encoders of events. */
export interface EventEncoders {
  readonly event: Encode;
  readonly hparams: Encode;
}

export async function eventEncoders(): Promise<EventEncoders> {
  return {
    event: await encoderOf(eventMessages, "Event"),
    hparams: await encoderOf(hparamsMessages, "PluginData"),
  };
}

/** Returns what the hparams page needs to know of a run before it begins: its hyperparameters, and the metrics to come. */
export function sessionStart(
  { hparams: encode }: EventEncoders,
  hyperparameters: Readonly<Record<string, Hyperparameter>>,
  metrics: readonly ListedMetric[],
  seconds: number,
): readonly SummaryValue[] {
  const entries = Object.entries(hyperparameters);
  const experiment = {
    timeCreatedSecs: seconds,
    hparamInfos: entries.map(([name, value]) => ({ name, type: hparamType[typeOf(value)] })),
    metricInfos: metrics.map((name) => ({ name })),
  };
  const hparams = entries.map(([key, value]) => ({
    key,
    value: { [`${protoName[typeOf(value)]}Value`]: value },
  }));
  return [
    hparamsValue("experiment", encode({ version: 0, experiment })),
    hparamsValue(
      "session_start_info",
      encode({ version: 0, sessionStartInfo: { hparams, startTimeSecs: seconds } }),
    ),
  ];
}

/** Returns how a run ended, for the hparams page. */
export function sessionEnd(
  { hparams: encode }: EventEncoders,
  status: keyof typeof sessionStatus,
  seconds: number,
): SummaryValue {
  const sessionEndInfo = { status: sessionStatus[status], endTimeSecs: seconds };
  return hparamsValue("session_end_info", encode({ version: 0, sessionEndInfo }));
}

function typeOf(value: Hyperparameter): keyof typeof hparamType {
  return typeof value as keyof typeof hparamType;
}

const protoName: Readonly<Record<keyof typeof hparamType, string>> = {
  string: "string",
  boolean: "bool",
  number: "number",
};

/** Returns a value whose content is in its metadata; its tensor is empty, as the plugin's own writer has it. */
function hparamsValue(name: string, content: Uint8Array): SummaryValue {
  return {
    tag: `_hparams_/${name}`,
    metadata: { pluginData: { pluginName: "hparams", content } },
    tensor: { dtype: floatType, tensorShape: { dim: [{ size: 0 }] } },
  };
}

/** Number of buckets of a histogram, as `tf.summary.histogram` has them. */
const bucketCount = 30;

/** Returns the histogram of numbers in buckets of equal width, as `tf.summary.histogram` makes them; one bucket where all are equal. */
export function histogramOf(values: ArrayLike<number>): HistogramMessage {
  let [min, max, sum, sumSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    sumSquares += value * value;
  }
  const count = max > min ? bucketCount : 1;
  const width = (max - min) / count;
  const bucket = new Array<number>(count).fill(0);
  for (let index = 0; index < values.length; index++) {
    const place = width > 0 ? Math.min(count - 1, Math.floor(((values[index] ?? 0) - min) / width)) : 0;
    bucket[place] = (bucket[place] ?? 0) + 1;
  }
  const bucketLimit = bucket.map((_, place) => (place === count - 1 ? max : min + (place + 1) * width));
  return { min, max, num: values.length, sum, sumSquares, bucketLimit, bucket };
}
