/** @file The classes of KerasHub as values: how the network of each is built from its config. */
import type { JsonObject } from "../../checkpoint.ts";
import type { NetworkInput, Output } from "../network-output.ts";
import type { HubNetwork } from "./hub-network.ts";

/** A backbone: a functional model whose arguments decide its layers. */
export interface HubBackbone {
  readonly className: string;
  /** Names of the networks that it builds, for the documentation. */
  readonly networks: string;
  /** Adds the layers behind the inputs and returns the output, or several by name. */
  build(net: HubNetwork, config: HubNetwork["config"]): Output | Readonly<Record<string, Output>>;
  /** The inputs, where they are not one image. */
  readonly inputs?: readonly NetworkInput[];
  /** True if it is built inside a task alone, which reads one of the several outputs that it has in KerasHub. */
  readonly isWithinTask?: boolean;
  /** The key of the config that holds the shape of an image; `image_shape` where absent. */
  readonly shapeKey?: string;
  /** Returns the config that holds the shape of an image; the backbone's own where absent. */
  readonly shapeIn?: (config: JsonObject) => JsonObject;
}

/** A task: a backbone with a head. */
export interface HubTask {
  readonly className: string;
  /** Class name of its backbone. */
  readonly backbone: string;
  /** The network of the head. */
  readonly head: HubHead;
}

export interface HubHead {
  /** Adds the layers behind the backbone and returns the output. */
  build(net: HubNetwork, config: HubNetwork["config"], features: Output): Output;
  /** Name of the layer with the scores, whose units or filters and activation are arguments of the task. */
  readonly scores: string;
  /** Name of the backbone's output that the head takes, of a backbone with several. */
  readonly features?: string;
  /** False if the task has no argument for the activation of its scores. */
  readonly hasActivation?: boolean;
}
