import { expect, test } from "vitest";
import { historyCsv } from "../../src/training/history.ts";

test("history.csv names its columns and leaves empty what an epoch has not", () => {
  const first = { epoch: 1, phase: 1, loss: 1.5, accuracy: 0.5, val_loss: 1.25, val_accuracy: 0.75 };
  const history = [
    { ...first, lr: 1e-4, seconds: 2 },
    { epoch: 2, phase: 1, loss: 1, lr: 1e-4, seconds: 1 },
  ];
  expect(historyCsv(history)).toBe(
    "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds\n1,1.5,0.5,1.25,0.75,0.0001,2\n2,1,,,,0.0001,1\n",
  );
});

test("history.csv has every metric, training before validation, and the phase where there are several", () => {
  const history = [
    { epoch: 1, phase: 1, loss: 2, mae: 1, val_loss: 3, val_mae: 4, lr: 0.1, seconds: 1 },
    { epoch: 2, phase: 2, loss: 2, mae: 1, auc: 0.5, val_loss: 3, val_mae: 4, lr: 0.1, seconds: 1 },
  ];
  expect(historyCsv(history).split("\n").slice(0, 2)).toEqual([
    "epoch,phase,loss,mae,auc,val_loss,val_mae,lr,seconds",
    "1,1,2,1,,3,4,0.1,1",
  ]);
});
