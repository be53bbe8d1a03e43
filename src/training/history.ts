/** One epoch's figures, named as the columns of history.csv. Losses are sample-weighted means plus regularizers. */
export interface Epoch {
  /** From 1. */
  readonly epoch: number;
  readonly loss: number;
  /** In training mode, before each update; absent where the loss has no accuracy. */
  readonly accuracy?: number;
  readonly val_loss?: number;
  readonly val_accuracy?: number;
  readonly lr: number;
  readonly seconds: number;
}

export type History = readonly Epoch[];
