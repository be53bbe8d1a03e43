import { captioned, escaped, percent } from "./markup.ts";

/** At most so many classes are shown as a matrix: those that are confused most. */
const mostClasses = 25;

/** A confusion matrix as a table: true classes down, predicted ones across, each cell with its count and its share of the row. */
export function confusionTable(labels: readonly string[], confusion: readonly (readonly number[])[]): string {
  const shown = mostConfused(confusion);
  const name = (index: number): string => escaped(labels[index] ?? String(index));
  const head = shown.map((index) => `<th scope="col">${name(index)}</th>`).join("");
  const rows = shown.map((truth) => {
    const row = confusion[truth] ?? [];
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = shown.map((predicted) => {
      const count = row[predicted] ?? 0;
      const rate = total === 0 ? 0 : count / total;
      const told = `${count} of ${total} ${labels[truth] ?? truth} predicted as ${labels[predicted] ?? predicted}`;
      const mark = truth === predicted ? ' class="right"' : "";
      return `<td${mark} title="${escaped(told)}" style="background:rgba(var(--cell),${(rate * 0.45).toFixed(3)})">${count}${count > 0 ? `<small>${percent(rate)}</small>` : ""}</td>`;
    });
    return `<tr><th scope="row">${name(truth)}</th>${cells.join("")}</tr>`;
  });
  const left = labels.length - shown.length;
  const caption = `Rows are true classes, columns predicted ones${left > 0 ? `; ${left} classes with fewer mistakes are left out` : ""}.`;
  const table = `<table class="confusion" aria-label="Confusion matrix"><thead><tr><th scope="col">true \\ predicted</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
  return captioned(caption, table);
}

/** Returns the classes in their order, or where there are many those with the most mistakes. */
function mostConfused(confusion: readonly (readonly number[])[]): readonly number[] {
  const all = [...confusion.keys()];
  if (all.length <= mostClasses) return all;
  const mistakes = (index: number): number =>
    confusion.reduce(
      (sum, row, truth) =>
        sum +
        row.reduce(
          (inRow, count, predicted) =>
            inRow + (truth !== predicted && (truth === index || predicted === index) ? count : 0),
          0,
        ),
      0,
    );
  const counts = new Map(all.map((index) => [index, mistakes(index)]));
  return all
    .toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0))
    .slice(0, mostClasses)
    .sort((a, b) => a - b);
}
