/** The figures of one epoch as one flat record. Losses are means over the samples plus what regularizers add. */
export interface Epoch {
  /** Counted from 1 over all phases. */
  readonly epoch: number;
  /** Counted from 1. */
  readonly phase: number;
  readonly loss: number;
  /** In training mode, before each update; absent where the loss has no accuracy. */
  readonly accuracy?: number;
  readonly val_loss?: number;
  readonly val_accuracy?: number;
  /** The learning rate of the epoch's last step. */
  readonly lr: number;
  readonly seconds: number;
  /** Every other metric under its own name, and with `val_` before it on the validation data. */
  readonly [figure: string]: number | undefined;
}

export type History = readonly Epoch[];

const leading: readonly string[] = ["epoch", "phase"];
const trailing: readonly string[] = ["lr", "seconds"];

/**
 * Returns the text of `history.csv`: one line an epoch, training figures before validation figures. A figure that an epoch lacks is
 * left empty. The column `phase` is there where the run has several.
 */
export function historyCsv(history: History): string {
  const names = [...new Set(history.flatMap((epoch) => Object.keys(epoch)))];
  const figures = names.filter((name) => !leading.includes(name) && !trailing.includes(name));
  const held = figures.filter((name) => name.startsWith("val_"));
  const hasPhases = history.some(({ phase }) => phase > 1);
  const columns = [
    "epoch",
    ...(hasPhases ? ["phase"] : []),
    ...figures.filter((name) => !name.startsWith("val_")),
    ...held,
    ...trailing,
  ];
  const rows = history.map((epoch) => columns.map((column) => epoch[column] ?? "").join(","));
  return `${[columns.join(","), ...rows].join("\n")}\n`;
}
