/** @file Text and numbers in HTML. */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Returns a text for the inside of an element or of a quoted attribute. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** Returns a number with four significant digits at most, or a dash where there is none. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** Returns a share of 1 in percent. */
export function percent(value: number): string {
  return `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

/** A table; cells are HTML, `alignRight` the columns with numbers. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  alignRight: ReadonlySet<number> = new Set(),
): string {
  const mark = (column: number): string => (alignRight.has(column) ? ' class="number"' : "");
  const headers = head.map((cell, column) => `<th scope="col"${mark(column)}>${escaped(cell)}</th>`).join("");
  const body = rows.map((row) => {
    const [first = "", ...rest] = row;
    const cells = rest.map((cell, index) => `<td${mark(index + 1)}>${cell}</td>`).join("");
    return `<tr><th scope="row"${mark(0)}>${first}</th>${cells}</tr>`;
  });
  return captioned(
    escaped(caption),
    `<table aria-label="${escaped(caption)}"><thead><tr>${headers}</tr></thead><tbody>${body.join("")}</tbody></table>`,
  );
}

/** Returns a table under its caption, which stays in sight where the table is scrolled sideways. */
export function captioned(caption: string, table: string): string {
  return `<p class="caption">${caption}</p><div class="scroll" tabindex="0" role="region" aria-label="${caption}">${table}</div>`;
}

/** Returns the moment of an ISO 8601 text as a person reads it: `30 November 2026, 07:27 UTC`. */
export function moment(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const day = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" } as const;
  const time = { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "UTC" } as const;
  return `${date.toLocaleDateString("en-GB", day)}, ${date.toLocaleTimeString("en-GB", time)} UTC`;
}

/** A part of the page with a heading; empty where there is nothing to show. */
export function section(id: string, title: string, content: string): string {
  if (content === "") return "";
  return `<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${escaped(title)}</h2>${content}</section>`;
}
