import * as tf from "@tensorflow/tfjs-core";

/** The one tfjs of this process: every room above takes it from here. */
export { tf };
