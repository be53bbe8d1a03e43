/** @file The network of a class of KerasHub while it is built, and its arguments with checks. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../../topology/config-values.ts";
import type { Network, Output } from "../network.ts";

export interface HubNetwork extends Network {
  /** The arguments of the class. */
  readonly config: JsonObject;
  relu(given: Output, name?: string): Output;
}

/** Returns a network with the activation that most of KerasHub's layers have. */
export function hubNetwork(net: Network, config: JsonObject): HubNetwork {
  return {
    ...net,
    config,
    relu: (given, name) => net.layer("Activation", { activation: "relu" }, given, name),
  };
}

/** Returns an argument that is a list. @throws {TopologyError} naming it, for anything else. */
export function listOf(config: JsonObject, name: string): readonly Json[] {
  const value = config[name];
  if (Array.isArray(value)) return value;
  throw malformed(config, name, "a list");
}

/** Returns an argument that is a list of numbers. @throws {TopologyError} naming it, for anything else. */
export function numbersOf(config: JsonObject, name: string): readonly number[] {
  return numbersIn(config, name, config[name] ?? null);
}

/** Returns a list of numbers inside an argument. */
export function numbersIn(config: JsonObject, name: string, value: Json): readonly number[] {
  const list: readonly Json[] = Array.isArray(value) ? value : [null];
  if (list.every((item): item is number => typeof item === "number")) return list;
  throw malformed(config, name, "a list of numbers");
}

/** Returns an argument that is a number. */
export function numberOf(config: JsonObject, name: string, otherwise?: number): number {
  const value = config[name] ?? otherwise;
  if (typeof value === "number") return value;
  throw malformed(config, name, "a number");
}

/** Returns an argument that is a text. */
export function textOf(config: JsonObject, name: string): string {
  const value = config[name];
  if (typeof value === "string") return value;
  throw malformed(config, name, "a text");
}

/** Returns the name of an activation argument: none is linear, and a function is serialized by its name. */
export function activationOf(config: JsonObject, name = "activation"): string {
  const value = config[name] ?? "linear";
  if (typeof value === "string") return value;
  const inner = isObject(value) ? value["config"] : undefined;
  if (typeof inner === "string") return inner;
  throw malformed(config, name, "an activation of Keras by its name");
}

function malformed(config: JsonObject, name: string, expected: string): TopologyError {
  return new TopologyError(
    `${String(config["name"])}: ${name}: expected ${expected}, got ${JSON.stringify(config[name] ?? null)}.`,
    "malformed",
  );
}
