import type { MetricValue } from "./metrics/metric.ts";

/** `loss`, each output's loss where there are several, and every metric by its name. */
export type Figures = { readonly loss: number } & Readonly<Record<string, MetricValue>>;

/** Returns figures as numbers alone: those of a metric per class or threshold are numbered. */
export function flatFigures(figures: Figures): { readonly loss: number } & Readonly<Record<string, number>> {
  const flat = Object.entries(figures).flatMap(([name, value]) =>
    typeof value === "number"
      ? [[name, value] as const]
      : value.map((each, index) => [`${name}_${index}`, each] as const),
  );
  return { ...Object.fromEntries(flat), loss: figures.loss };
}
