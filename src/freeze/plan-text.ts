import { specOf } from "../topology/layer-specs.ts";
import { costLines } from "./cost-text.ts";
import { formatBytes, formatCount, formatSeconds, shortList } from "./number-text.ts";
import type { FinetunePlan, PlannedLayer } from "./plan.ts";
import type { PlanContext } from "./plan-context.ts";

/** Formats a plan as lines of plain text: the model, what is frozen by stage, the frontier, and the cost. */
export function planLines(plan: FinetunePlan, context: PlanContext = {}): string[] {
  const { total, trainable } = plan.parameters;
  const first = plan.layers.findIndex((layer) => layer.path === plan.firstTrainable);
  const policy = context.policy === undefined ? "" : `${context.policy}  ->  `;
  const percentage = ((100 * trainable) / total).toFixed(2);
  return [
    ...modelLine(plan, context),
    `freeze    ${policy}first trainable layer: ${plan.firstTrainable} (#${first})`,
    ...table(stageRows(plan, context)).map((row) => `          ${row}`),
    `trainable params: ${grouped(trainable)} || all params: ${grouped(total)} || trainable%: ${percentage}`,
    ...frontierLines(plan, context),
    ...(plan.cost ? costLines(plan, plan.cost, context) : []),
    ...(context.precision === undefined ? [] : [`precision ${context.precision}`]),
    ...augmentLines(plan, context),
    ...silencedLines(plan),
  ];
}

function modelLine(plan: FinetunePlan, { model, origin, preprocessing }: PlanContext): string[] {
  if (model === undefined) return [];
  const facts = [origin, `${plan.layers.length} layers`, `${formatCount(plan.parameters.total)} params`];
  const known = facts.filter((fact) => fact !== undefined).join(", ");
  return [
    `model     ${model}  (${known})${preprocessing === undefined ? "" : `  preprocessing: ${preprocessing}`}`,
  ];
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** Returns a header and a row for each stage. */
function stageRows(plan: FinetunePlan, context: PlanContext): string[][] {
  const stages = [...new Set(plan.layers.flatMap((layer) => layer.stage ?? []))];
  const { newHead } = context;
  return [
    ["stage", "layers", "params", "trainable", "BN"],
    ...stages.map((stage) => {
      const layers = plan.layers.filter((layer) => layer.stage === stage);
      const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
      const head = stage === "head" ? newHead : undefined;
      const before = head ? `${formatCount(head.parametersBefore)}->` : "";
      const fresh = head ? ` (new, ${head.classes} classes)` : "";
      return [
        stage,
        String(layers.length),
        `${before}${formatCount(parameters)}`,
        `${trainableText(layers)}${fresh}`,
        statisticsText(layers),
      ];
    }),
  ];
}

/** Returns `yes` if every layer with parameters trains, `-` if none does, else how many do. */
function trainableText(layers: readonly PlannedLayer[]): string {
  const weighted = layers.filter((layer) => layer.parameters > 0);
  const training = weighted.filter((layer) => layer.trainable).length;
  if (training === 0) return "-";
  return training === weighted.length ? "yes" : `${training} of ${weighted.length} layers`;
}

function statisticsText(layers: readonly PlannedLayer[]): string {
  const kinds = layers.flatMap((layer) => layer.bn ?? []);
  const different = [...new Set(kinds)];
  if (different.length < 2) return different[0] ?? "-";
  return different.map((kind) => `${kind} (${kinds.filter((other) => other === kind).length})`).join(", ");
}

/** Aligns the columns of a table, the second one, which holds numbers, to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  const cell = (text: string, column: number): string =>
    column === 1 ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd());
}

/** Returns one line for each tensor of the frontier. */
function frontierLines(plan: FinetunePlan, context: PlanContext): string[] {
  const half = context.cacheDtype === "float16";
  const count = plan.frontier.length === 1 ? "1 tensor" : `${plan.frontier.length} tensors`;
  return plan.frontier.map(({ tensor, shape, bytes }) => {
    const size = shape.slice(1).join("x");
    if (isInput(plan, tensor))
      return `frontier  ${tensor}  ${size}  (${count})  the model's input: nothing can be computed ahead`;
    return `frontier  ${tensor}  ${size}  (${count})  ${half ? "f16" : "f32"} ${formatBytes(bytes / (half ? 2 : 1))}/${(context.unit ?? "images").slice(0, -1)}`;
  });
}

function isInput(plan: FinetunePlan, tensor: string): boolean {
  return plan.layers.some((layer) => layer.path === tensor && layer.className === "InputLayer");
}

/** Returns lines that say how training samples are augmented, and at which price if views are fresh in every epoch. */
function augmentLines(
  { augmentation, cost, frontier }: FinetunePlan,
  { unit = "images" }: PlanContext,
): string[] {
  if (!augmentation) return [];
  const { views, transformations, layers, mixup, cutmix } = augmentation;
  const one = unit.slice(0, -1);
  const means = [
    ...(transformations === null ? [] : [transformations]),
    ...(layers.length > 0 ? [`the model's ${shortList(layers)}`] : []),
  ].join(" and ");
  const seconds = cost?.freshViewSeconds;
  const price =
    seconds === undefined
      ? ""
      : `: making them and running the frozen part takes ${formatSeconds(seconds)} of each epoch`;
  const lines = [
    ...(means === "" ? [] : [means]),
    ...(views === 0 ? [`fresh views in every epoch, none of them cached${price}`] : []),
    ...(views !== null && views > 0
      ? [
          `${views} views of each training ${one}, view 0 the ${one} itself; epoch e trains on view e mod ${views}`,
        ]
      : []),
    ...(cutmix === null
      ? []
      : [`cutmix=${cutmix}: a box of another ${one} is pasted in, and the targets averaged by area`]),
    ...(mixup === null
      ? []
      : [
          `mixup=${mixup}: two samples' ${frontier.map(({ tensor }) => tensor).join(" + ")} and targets are averaged`,
        ]),
  ];
  return lines.map((line, index) => `${index === 0 ? "augment " : "        "}  ${line}`);
}

/** Returns a line that names the random layers in the static part, which are inactive. */
function silencedLines(plan: FinetunePlan): string[] {
  const drawing = new Set(plan.augmentation?.layers);
  const silent = plan.layers.filter(
    ({ path, side, className }) =>
      side === "static" && specOf(className)?.random === true && !drawing.has(path),
  );
  if (silent.length === 0) return [];
  const names = silent.map((layer) => layer.path);
  return [`inactive  ${shortList(names)}: in the frozen part, which runs as in inference`];
}
