/** What can be run of all that a file of Keras may hold, as text: docs/layers.md. */
import { readFileSync } from "node:fs";
import { classNameOf } from "../../src/topology/dialects/class-names.ts";
import type { GraphLayer, LayerGraph } from "../../src/topology/layer-graph.ts";
import type { LayerSpec } from "../../src/topology/layer-spec.ts";
import { specOf } from "../../src/topology/layer-specs.ts";
import { activationNames } from "../../src/topology/specs/activation.ts";
import { unsupportedLayers } from "../../src/topology/support.ts";
import type { ModelRecord } from "../formats/model-fixtures.ts";
import type { LayerCase } from "./layer-cases.ts";
import { families } from "./layer-cases.ts";
import { transformationCases } from "./random-images/transformation-cases.ts";

/** Keras's public classes and functions, by name. */
interface PublicNames {
  readonly keras: string;
  readonly layers: readonly string[];
  readonly activations: readonly string[];
  readonly operations: readonly string[];
}

export const publicNames = JSON.parse(
  readFileSync(new URL("../../fixtures/graphs/public.json", import.meta.url), "utf8"),
) as PublicNames;

/** Classes that other layers are made from: no file holds one. */
export const baseClasses: ReadonlySet<string> = new Set(["Layer", "Wrapper"]);

/** How Keras 3 spells two of its activations in a config; `threshold` needs arguments, which a name has not. */
const written: Readonly<Record<string, string>> = { swish: "silu", hard_swish: "hard_silu" };

const transformations = transformationCases();

export const cases: readonly LayerCase[] = families().flatMap((family) => family.cases);

export type Verdict =
  | {
      readonly kind: "runs";
      readonly cases: number;
      readonly gradients: number;
      readonly note: string;
    }
  | { readonly kind: "refused"; readonly reason: string; readonly advice: string }
  | { readonly kind: "unknown" };

/** What becomes of a layer, by its class in a Keras 3 config. */
export function verdictOnLayer(name: string): Verdict {
  const className = classNameOf({ class_name: name, module: "keras.layers" }, 3);
  return specOf(className) ? ran(className) : refused(className);
}

/** What becomes of an operation in a functional model. */
export function verdictOnOperation(name: string): Verdict {
  const className = `ops.${name}`;
  return specOf(className) ? ran(className) : refused(className);
}

export function knowsActivation(name: string): boolean {
  return activationNames.has(written[name] ?? name);
}

function ran(className: string): Verdict {
  const own = cases.filter((layerCase) => layerCase.className === className);
  return {
    kind: "runs",
    cases: own.length,
    gradients: own.filter(({ gradients }) => gradients).length,
    note: trainingNote(specOf(className)!),
  };
}

function trainingNote({ className, random }: LayerSpec): string {
  if (!random) return "";
  const own = transformations.filter((each) => each.className === className).length;
  const compared = own > 0 ? `; with Keras's, ${own} ${own === 1 ? "case" : "cases"} more` : "";
  return `draws numbers of its own in training${compared}`;
}

function refused(className: string): Verdict {
  const layer = { path: "layer", name: "layer", className, config: {} } as unknown as GraphLayer;
  const [found] = unsupportedLayers({ layers: [layer] } as unknown as LayerGraph);
  if (!found || found.reason.startsWith("an unknown layer class")) return { kind: "unknown" };
  return { kind: "refused", reason: found.reason, advice: found.advice };
}

/** The page: a line a layer, then the activations, then the operations. */
export function supportTable(): string {
  const layers = publicNames.layers.filter((name) => !baseClasses.has(name));
  const [run, not] = parted(layers, verdictOnLayer);
  const [operations, others] = parted(publicNames.operations, verdictOnOperation);
  return [
    "# Layers and operations",
    "",
    "Written by `npx vitest run test/layers/completeness.test.ts -u` from what the tests compare. A case is one call that",
    `Keras (${publicNames.keras}, or 2.15) answered: outputs within 2e-5 of its largest number, gradients within 1e-4, on both engines.`,
    "Everything is computed in float32, whatever a file's dtype policy says.",
    "",
    `## Layers: ${run.length} of ${layers.length}`,
    "",
    "| Layer | Cases | with gradients | |",
    "| --- | --- | --- | --- |",
    ...run.map((name) => lineOf(name, verdictOnLayer(name))),
    "",
    "Refused by name before anything runs:",
    "",
    ...not.map((name) => refusalLine(name, verdictOnLayer(name))),
    "",
    `## Activations: ${publicNames.activations.filter(knowsActivation).length} of ${publicNames.activations.length}`,
    "",
    publicNames.activations.filter(knowsActivation).join(", "),
    "",
    `## Operations of keras.ops in a functional model: ${operations.length} of ${publicNames.operations.length}`,
    "",
    wrapped(operations),
    "",
    "Refused by name:",
    "",
    ...operationGroups(others),
    "",
  ].join("\n");
}

/** README's table: how much of Keras runs, by what the tests compare, and the whole models of each version. */
export function summaryTable(records: readonly ModelRecord[]): string {
  const layers = publicNames.layers.filter((name) => !baseClasses.has(name));
  const [run, not] = parted(layers, verdictOnLayer);
  const [operations] = parted(publicNames.operations, verdictOnOperation);
  const activations = publicNames.activations.filter(knowsActivation);
  const casesOf = (prefix: boolean): number =>
    cases.filter(({ className }) => className.startsWith("ops.") === prefix).length;
  const versions = [...new Set(records.map(({ keras }) => keras))].toSorted((a, b) =>
    a.localeCompare(b, "en", { numeric: true }),
  );
  const models = versions.map(
    (version) => `${records.filter(({ keras }) => keras === version).length} of ${version}`,
  );
  return [
    `| Keras ${publicNames.keras} has | of them run | compared with Keras in |`,
    "|---|---|---|",
    `| ${layers.length} layers | ${run.length}; not ${inWords(not)} | ${casesOf(false)} cases |`,
    `| ${publicNames.activations.length} activations | ${activations.length} | the same |`,
    `| ${publicNames.operations.length} operations in functional models | ${operations.length} | ${casesOf(true)} cases |`,
    "",
    `Whole model files beside the Keras that wrote each: ${inWords(models)}.`,
  ].join("\n");
}

function inWords(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function parted(names: readonly string[], verdictOn: (name: string) => Verdict): [string[], string[]] {
  const runs = (name: string): boolean => verdictOn(name).kind === "runs";
  return [names.filter(runs), names.filter((name) => !runs(name))];
}

function lineOf(name: string, verdict: Verdict): string {
  if (verdict.kind !== "runs") return "";
  return `| ${name} | ${verdict.cases} | ${verdict.gradients || ""} | ${verdict.note} |`.replaceAll(
    "|  |",
    "| |",
  );
}

function refusalLine(name: string, verdict: Verdict): string {
  return verdict.kind === "refused" ? `- ${name}: ${verdict.reason}. ${verdict.advice}` : `- ${name}`;
}

/** The refused operations by why they are. */
function operationGroups(names: readonly string[]): string[] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const verdict = verdictOnOperation(name);
    const reason = verdict.kind === "refused" ? verdict.reason : "";
    const because = reason.startsWith(`${name} `) ? reason.slice(name.length + 1) : "not computed here";
    groups.set(because, [...(groups.get(because) ?? []), name]);
  }
  return [...groups].map(([because, members]) => `- ${members.join(", ")}: ${because}`);
}

/** Names in lines of about a hundred characters. */
function wrapped(names: readonly string[]): string {
  const lines = [""];
  for (const name of names) {
    const line = lines.at(-1)!;
    if (line.length + name.length > 100) lines.push(name);
    else lines[lines.length - 1] = line === "" ? name : `${line}, ${name}`;
  }
  return lines.join(",\n");
}
