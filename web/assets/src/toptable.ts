// A table panel: one row a group, the greatest of the first column first, with bars.
import { spanAt, type App } from "./app.ts";
import { color, otherDark, otherLight } from "./colors.ts";
import { h, setAttr, setText } from "./dom.ts";
import { reduce, seriesName, slotOf } from "./lines.ts";
import type { Source } from "./source.ts";
import type { Column } from "./store.ts";
import { isDark } from "./theme.ts";
import type { Panel } from "./types.ts";
import { shown, text } from "./units.ts";

const interval = 500; // ms between two orderings, so that rows can be read

interface Row {
  name: string;
  slot: number;
  cells: (number | null)[];
}

interface Drawn {
  tr: HTMLTableRowElement;
  bar: HTMLElement;
  cells: HTMLElement[];
  swatch: HTMLElement;
}

export class TopTable {
  readonly root = h("div", { class: "table", tabindex: "0", role: "region" });
  summary = "";

  #app: App;
  #panel: Panel;
  #sources: Source[];
  #body = h("tbody");
  #rows = new Map<string, Drawn>();
  #versions = "";
  #written = 0;

  constructor(app: App, panel: Panel, sources: Source[]) {
    this.#app = app;
    this.#panel = panel;
    this.#sources = sources;
    const by = panel.queries[0]!.query.by ?? [];
    this.root.setAttribute("aria-label", panel.title);
    this.root.append(h("table", {},
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, by.join(" · ") || "series"),
        ...panel.queries.map((q) => h("th", { scope: "col", class: "n" }, q.label ?? q.query.metric)),
      )),
      this.#body,
    ));
  }

  force(): void {
    this.#versions = "";
    this.#written = 0;
  }

  frame(now: number): void {
    const versions = this.#sources.map((s) => `${s.still ? "s" : "l"}${s.table.version}`).join();
    const t = performance.now();
    if (versions === this.#versions || t - this.#written < interval) return;
    this.#versions = versions;
    this.#written = t;
    const { from, to } = spanAt(this.#app, now);
    const rows = this.#collect(from, to);
    const top = Math.max(this.#panel.style?.max ?? 0, ...rows.map((r) => (r.slot < 0 ? 0 : r.cells[0] ?? 0)));
    const wanted = rows.map((r) => this.#draw(r, top));
    const current = [...this.#body.children];
    if (wanted.length !== current.length || wanted.some((tr, i) => tr !== current[i])) this.#body.replaceChildren(...wanted);
    for (const [name, d] of this.#rows) if (!wanted.includes(d.tr)) this.#rows.delete(name);
    const first = rows[0];
    this.summary = first ? `${this.#panel.title}: ${first.name} leads with ${this.#cell(first.cells[0] ?? null, 0)}, ${rows.length} rows` : this.#panel.title;
  }

  #unit(i: number): string {
    return this.#panel.queries[i]!.unit ?? this.#panel.unit ?? "";
  }

  #cell(v: number | null, i: number): string {
    return text(v === null ? null : shown(v, this.#unit(i)), this.#unit(i));
  }

  #collect(from: number, to: number): Row[] {
    const byName = new Map<string, Row>();
    this.#panel.queries.forEach((q, i) => {
      const table = this.#sources[i]!.table;
      const by = q.query.by ?? [];
      const labels = (c: Column): string => (c.other ? "other" : by.map((n) => c.labels[n] ?? "").join(" · ") || seriesName(q, c, this.#panel.title));
      if (by.length > 0) this.#app.colors.assign(by.join("\u0001"), table.columns.filter((c) => !c.other).map((c) => by.map((n) => c.labels[n] ?? "").join("\u0001")));
      for (const c of table.columns) {
        const name = labels(c);
        // What a further query folded together are other rows than the first one's.
        if (c.other && i > 0) continue;
        let row = byName.get(name);
        if (!row) byName.set(name, (row = { name, slot: slotOf(this.#app.colors, q, c), cells: this.#panel.queries.map(() => null) }));
        row.cells[i] = reduce(table, c.values, q.reduce ?? "last", q.query.agg, from, to);
      }
    });
    const limit = this.#panel.queries[0]!.query.top ?? 20;
    return [...byName.values()]
      .filter((r) => r.cells.some((c) => c !== null))
      .sort((a, b) => Number(a.slot < 0) - Number(b.slot < 0) || (b.cells[0] ?? -Infinity) - (a.cells[0] ?? -Infinity) || (a.name < b.name ? -1 : 1))
      .filter((r, i) => i < limit || r.slot < 0);
  }

  #draw(r: Row, top: number): HTMLTableRowElement {
    let d = this.#rows.get(r.name);
    if (!d) {
      const bar = h("i", { class: "bar", "aria-hidden": "true" });
      const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
      const cells = r.cells.map(() => h("td", { class: "n" }));
      const tr = h("tr", {}, h("th", { scope: "row" }, h("span", { class: "name" }, swatch, h("span", { title: r.name }, r.name)), bar), ...cells);
      this.#rows.set(r.name, (d = { tr, bar, cells, swatch }));
    }
    const ink = r.slot < 0 ? (isDark() ? otherDark : otherLight) : color(r.slot, isDark());
    d.tr.style.setProperty("--series", ink);
    const share = top > 0 ? Math.max(0, Math.min(1, (r.cells[0] ?? 0) / top)) : 0;
    d.bar.style.transform = `scaleX(${r.slot < 0 ? 0 : share.toFixed(4)})`;
    r.cells.forEach((v, i) => setText(d.cells[i]!, this.#cell(v, i)));
    const hit = (this.#panel.style?.thresholds ?? []).filter((t) => (r.cells[0] ?? -Infinity) >= t.value).pop();
    setAttr(d.tr, "data-state", hit ? (hit.state ?? "warning") : "");
    return d.tr;
  }
}
