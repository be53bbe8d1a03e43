import * as tf from "@tensorflow/tfjs-core";

/** The only instance of tfjs in this process, which every other room imports from here. */
export { tf };
