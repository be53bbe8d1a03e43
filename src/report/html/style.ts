/** The page's own style: light and dark, narrow and wide, on screen and on paper. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --back: #ffffff; --card: #f6f7f9; --text: #1b1f24; --muted: #57606a; --grid: #d8dee4; --accent: #0a58ca;
  --good: #116329; --bad: #a40e26; --cell: 10, 88, 202;
  --line-1: #0a58ca; --line-2: #b35900; --line-3: #116329; --line-4: #8250df; --line-5: #a40e26; --line-6: #57606a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --card: #161b22; --text: #e6edf3; --muted: #9da7b3; --grid: #30363d; --accent: #79b8ff;
    --good: #56d364; --bad: #ff7b72; --cell: 88, 166, 255;
    --line-1: #79b8ff; --line-2: #ffa657; --line-3: #56d364; --line-4: #d2a8ff; --line-5: #ff7b72; --line-6: #9da7b3;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px 16px 64px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 12px; padding-top: 12px; border-top: 1px solid var(--grid); }
h3 { font-size: 15px; margin: 20px 0 8px; }
a { color: var(--accent); }
p { margin: 0 0 12px; max-width: 75ch; }
.muted { color: var(--muted); }
.good { color: var(--good); } .bad { color: var(--bad); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0; margin: 16px 0 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 0; padding: 0; }
.cards div { background: var(--card); border-radius: 8px; padding: 10px 14px; }
.cards dt { color: var(--muted); font-size: 13px; } .cards dd { margin: 0; font-size: 20px; font-weight: 600; }
.charts { margin: 0 0 20px; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); gap: 20px; }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; margin-bottom: 4px; }
.scroll { overflow-x: auto; margin: 0 0 16px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.caption { color: var(--muted); margin: 0 0 6px; }
th[scope=row] { overflow-wrap: normal; white-space: nowrap; }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--grid); font-weight: 400; }
thead th { font-weight: 600; color: var(--muted); }
thead th, .number { white-space: nowrap; overflow-wrap: normal; }
td { min-width: 8ch; max-width: 48ch; } th[scope=row] { max-width: 48ch; overflow-wrap: anywhere; }
.number { text-align: right; min-width: 0; }
.confusion td, .confusion th { padding: 6px 8px; text-align: center; border: 1px solid var(--grid); min-width: 44px; }
.confusion th[scope=row] { text-align: right; } .confusion .right { font-weight: 700; }
.confusion small { display: block; color: inherit; }
pre { background: var(--card); border-radius: 8px; padding: 12px; overflow-x: auto; white-space: pre-wrap; font-size: 13px; margin: 0 0 12px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 16px; list-style: none; padding: 0; }
.samples img { width: 100%; height: auto; border-radius: 6px; display: block; margin-bottom: 4px; }
.samples p { font-size: 13px; margin: 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; align-items: start; } .explained { grid-column: span 2; }
.samples, .masks { margin: 0 0 16px; }
.masks { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr)); gap: 20px; list-style: none; padding: 0; }
.masks p { font-size: 13px; margin: 4px 0 0; }
.side-by-side { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; max-width: 520px; }
.side-by-side img { border: 1px solid var(--grid); width: 100%; aspect-ratio: var(--aspect); object-fit: fill; display: block; border-radius: 4px; } .mask { image-rendering: pixelated; }
.side-by-side figcaption { font-size: 12px; font-weight: 400; color: var(--muted); margin: 2px 0 0; }
tr:has(img.small) > * { vertical-align: middle; }
img.small { height: 40px; width: auto; border-radius: 4px; vertical-align: middle; margin: 2px 8px 2px 0; }
.confusion th[scope=row] { min-width: 0; } th:has(img.small) { white-space: nowrap; }
.strip { display: flex; height: 44px; border-radius: 6px; overflow: hidden; margin-bottom: 6px; border: 1px solid var(--grid); }
.strip span { min-width: 1px; } .strip .static { background: var(--line-6); opacity: .35; } .strip .frozen { background: var(--line-1); opacity: .45; }
.strip .train { background: var(--line-2); } .strip .cut { min-width: 4px; background: var(--bad); opacity: 1; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 0 0 14px; list-style: none; font-size: 13px; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; }
.u-legend { font-size: 12px; text-align: left; } .u-legend th { font-weight: 400; border: 0; padding: 0 4px; } .u-legend td { border: 0; padding: 0 8px 0 0; }
@media (max-width: 480px) {
  body { padding: 16px 12px 48px; } h1 { font-size: 22px; } .cards dd { font-size: 17px; }
  table { font-size: 13px; } th, td { padding: 5px 8px 5px 0; } thead th { white-space: normal; }
  th[scope=row] { white-space: normal; min-width: 9ch; } th:has(img.small) { white-space: normal; min-width: 14ch; } td { min-width: 7ch; }
}
@media print { .scroll { overflow: visible; } td, th, th[scope=row] { white-space: normal; min-width: 0; } .samples li, .masks li, figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } nav { display: none; } body { max-width: none; } }
`;
