// The data of a panel as a table, with a CSV file of it.
import { spanAt, type App } from "./app.ts";
import { h } from "./dom.ts";
import { picture } from "./lines.ts";
import type { Source } from "./source.ts";
import { exact, zone } from "./time.ts";
import type { Panel } from "./types.ts";
import { text } from "./units.ts";

const most = 500; // rows on the page; the file has all

export function openData(app: App, panel: Panel, sources: Source[]): void {
  const now = app.clock.now();
  const { from, to } = spanAt(app, now);
  const p = picture({ ...panel, style: {} }, sources, app.colors, app.view.picked.get(panel.id), now);
  const rows: number[] = [];
  for (let i = p.times.length - 1; i >= 0; i--) if (p.times[i]! >= from && p.times[i]! <= to) rows.push(i);
  const table = h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, `Time (${zone})`), ...p.lines.map((l) => h("th", { scope: "col", class: "n" }, l.name)))),
    h("tbody", {}, ...rows.slice(0, most).map((i) =>
      h("tr", { class: i >= p.final ? "open" : null },
        h("th", { scope: "row" }, exact(p.times[i]!)),
        ...p.values.map((v, k) => h("td", { class: "n" }, text(v[i], p.lines[k]!.unit)))))),
  );
  const csv = (): string => {
    const head = ["time", ...p.lines.map((l) => l.name)].map(quote).join(",");
    const lines = rows.slice().reverse().map((i) => [new Date(p.times[i]!).toISOString(), ...p.values.map((v) => v[i] ?? "")].join(","));
    return [head, ...lines].join("\n") + "\n";
  };
  const save = (): void => {
    const a = h("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: `${panel.id}.csv` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 1000);
  };
  const dialog = h("dialog", { class: "data", "aria-label": `Data of ${panel.title}`, onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, panel.title), h("button", { type: "button", class: "text", onclick: save }, "Download CSV"),
      h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "×")),
    h("div", { class: "scroll", tabindex: "0" }, table),
    h("footer", {}, rows.length > most ? `The newest ${most} of ${rows.length} steps; the file has all.` : `${rows.length} steps. Steps in italics may still change.`),
  );
  dialog.addEventListener("click", (e) => e.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

function quote(s: string): string {
  return /[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
}
