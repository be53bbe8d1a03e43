import type { OptionFlags } from "./flag.ts";
import { sets, switches } from "./flag.ts";
import { classWeight, nameOrJson, names, number } from "./values.ts";

/** Heading of the help, whose order `help.ts` has. */
const task = "Task";

/** Flags of the task that the model is trained for. */
export const taskFlags: OptionFlags = {
  task: sets("task", "Task of the model: single-label, multi-label or regression", "NAME", {
    group: task,
    otherwise: "as the file, the head and the data say",
  }),
  metrics: sets("metrics", "Keras metrics, by name", "NAME,…", {
    group: task,
    read: names,
    otherwise: "those of the task",
  }),
  loss: sets(
    "loss",
    "Keras loss, by name or as JSON config; of several outputs JSON by output name",
    "NAME|JSON",
    {
      group: task,
      read: nameOrJson,
      otherwise: "as compiled in the file, else by the head and the data",
    },
  ),
  "loss-weights": sets(
    "lossWeights",
    "Weights of several outputs' losses in the total, such as kind=1,age=0.5",
    "NAME=W,…",
    { group: task, read: classWeight, otherwise: "as compiled in the file, else 1 each" },
  ),
  "label-smoothing": sets("labelSmoothing", "Share of a target that is spread over all classes", "SHARE", {
    group: task,
    read: number,
    otherwise: "0",
  }),
  "weighted-metrics": sets(
    "weightedMetrics",
    "Keras metrics that sample and class weights count in",
    "NAME,…",
    {
      group: task,
      read: names,
      otherwise: "none",
    },
  ),
  "class-weight": sets(
    "classWeight",
    "Weights of the classes in the loss: balanced, or name=weight such as cat=2,dog=0.5",
    "W",
    { group: task, read: classWeight, otherwise: "1 each" },
  ),
  classes: sets("classes", "End the run if the data has another number of classes", "K", {
    group: task,
    read: number,
  }),
  "keep-head": switches(
    "keepHead",
    true,
    "Keep the model's head, whatever its labels. By default it is replaced unless its labels, or without labels their number, are the data's",
    task,
  ),
};
