// Classifies texts: trains all of a small model that begins with a TextVectorization, then predicts strings.
//
//     node examples/texts.ts [MODEL TEXTS]
//
// TEXTS holds one folder per class with .txt files. Without arguments: a small model, and reviews that the program writes.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finetune, freeze, predict, textFolder } from "keras-finetune";

const reviews = {
  fine: ["a delight from the first scene", "the film was a delight", "delight in the café", "best of all"],
  dull: ["a dull film", "dull, dull, dull again", "the last scene was dull", "never the film again"],
};

function writeReviews(): string {
  const folder = mkdtempSync(join(tmpdir(), "reviews-"));
  for (const [label, texts] of Object.entries(reviews)) {
    mkdirSync(join(folder, label));
    for (const [index, text] of texts.entries()) writeFileSync(join(folder, label, `${index}.txt`), text);
  }
  return folder;
}

const [model = "fixtures/texts/k3-reviews.keras", folder = writeReviews()] = process.argv.slice(2);

const data = await textFolder(folder);
const { checkpoint, history } = await finetune({
  model,
  data,
  freeze: freeze("none"),
  epochs: 20,
  learningRate: 0.05,
});
const last = history.at(-1);
console.log(`${data.samples.length} texts, ${history.length} epochs, loss ${last?.loss.toFixed(4)}`);

const asked = ["what a delight", "so dull"];
const [probabilities] = await predict(checkpoint, { dtype: "string", shape: [2, 1], data: asked });
const rows = Array.from(probabilities?.data ?? [], Number);
for (const [index, text] of asked.entries()) {
  const row = rows.slice(index * data.classNames.length, (index + 1) * data.classNames.length);
  const best = row.indexOf(Math.max(...row));
  console.log(`${JSON.stringify(text)}: ${data.classNames[best]} (${row[best]?.toFixed(3)})`);
}
