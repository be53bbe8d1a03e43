/** Facts beside the plan that its text mentions if they are given. */
export interface PlanContext {
  /** File name (`resnet50.h5`). Without it the text has no line about the model. */
  readonly model?: string;
  /** Version and format of the file: `Keras 2.3 h5`. */
  readonly origin?: string;
  /** Preprocessing with its reason: `caffe (BGR, mean subtracted) [detected]`. */
  readonly preprocessing?: string;
  /** Summary of the policies: `until conv4`. */
  readonly policy?: string;
  /** Number of classes of a head that the run makes, and the number of parameters of the head that it replaces. */
  readonly newHead?: { readonly classes: number; readonly parametersBefore: number };
  /** Number of samples whose features are cached. */
  readonly samples?: number;
  /** Plural noun for the samples. Defaults to `images`. */
  readonly unit?: string;
  /** Place of the features: the cache, which is the default, else a file of this run alone, or memory. */
  readonly place?: "cache" | "run" | "memory";
  readonly cacheFolder?: string;
  /** Free space of the disk that holds the cache. */
  readonly freeBytes?: number;
  /** Folder of features that are too many for memory, until the run ends. */
  readonly rowFolder?: string;
  /** Run folder. */
  readonly outFolder?: string;
  readonly cacheDtype?: "float32" | "float16";
  readonly batchSize?: number;
  /** Arithmetic of the run, where it is not plain float32. */
  readonly precision?: string;
  /** True for a run that goes on: its time is that of what is left. Defaults to false. */
  readonly isResumed?: boolean;
}
