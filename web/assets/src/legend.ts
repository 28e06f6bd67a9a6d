// The legend below a chart: a key for each series with its last and greatest value, or
// the value under the crosshair. A click shows one series alone, ctrl-click adds.
import type { App } from "./app.ts";
import { rowAt, type Chart } from "./chart.ts";
import { h, setAttr, setText } from "./dom.ts";
import { seriesName, type Picture } from "./lines.ts";
import type { Source } from "./source.ts";
import type { Panel } from "./types.ts";
import { bare } from "./units.ts";
import type { Span } from "./view.ts";

interface Key {
  button: HTMLButtonElement;
  value: HTMLElement;
  max: HTMLElement;
}

export class Legend {
  readonly root: HTMLUListElement;
  #app: App;
  #panel: Panel;
  #keys = new Map<string, Key>(); // by name
  #names = "";
  #written = 0;
  #lastTime: number | null = null;

  constructor(app: App, panel: Panel) {
    this.#app = app;
    this.#panel = panel;
    this.root = h("ul", { class: "legend", "aria-label": `Series of ${panel.title}` });
  }

  // load makes a key for each series, those that are not shown included.
  load(chart: Chart, sources: Source[]): void {
    const shownNames = chart.picture.lines.map((l) => l.name);
    const names = new Set(shownNames);
    this.#panel.queries.forEach((q, i) => {
      for (const c of sources[i]!.table.columns) names.add(seriesName(q, c, this.#panel.title));
    });
    const order = [...names].sort(byName(this.#panel));
    const joined = order.join("\n");
    if (joined !== this.#names) {
      this.#names = joined;
      this.#keys.clear();
      this.root.replaceChildren(...order.map((name) => this.#key(name)));
    }
    for (const [name, key] of this.#keys) {
      const i = shownNames.indexOf(name);
      setAttr(key.button, "aria-pressed", i >= 0 ? "true" : "false");
      if (i >= 0) key.button.style.setProperty("--series", chart.colorOf(i));
    }
    this.#written = 0;
  }

  // frame writes the values, at most twice a second unless the crosshair moved.
  frame(p: Picture, span: Span, at: number | null): void {
    const t = performance.now();
    if (at === this.#lastTime && t - this.#written < 500) return;
    this.#written = t;
    this.#lastTime = at;
    const row = at === null ? -1 : rowAt(p, at);
    p.lines.forEach((l, i) => {
      const key = this.#keys.get(l.name);
      if (!key) return;
      const values = p.values[i]!;
      setText(key.value, bare(at === null ? last(values, l.grows ? p.final : values.length) : row >= 0 ? values[row] : null, l.unit));
      setText(key.max, `max ${bare(greatest(p, values, span), l.unit)}`);
    });
  }

  #key(name: string): HTMLLIElement {
    const value = h("b");
    const max = h("small");
    const button = h(
      "button",
      { type: "button", title: `${name}: click shows it alone, ctrl-click adds it`, onclick: (e: MouseEvent) => this.#pick(name, e.ctrlKey || e.metaKey) },
      h("i", { "aria-hidden": "true" }), h("span", {}, name), value, max,
    );
    this.#keys.set(name, { button, value, max });
    return h("li", {}, button);
  }

  #pick(name: string, add: boolean): void {
    const picked = new Set(this.#app.view.picked.get(this.#panel.id) ?? []);
    if (add) {
      if (picked.has(name)) picked.delete(name);
      else picked.add(name);
    } else {
      const alone = picked.size === 1 && picked.has(name);
      picked.clear();
      if (!alone) picked.add(name);
    }
    this.#app.view.pick(this.#panel.id, picked.size === this.#keys.size ? null : picked);
  }
}

const collator = new Intl.Collator("en", { numeric: true });

function byName(panel: Panel): (a: string, b: string) => number {
  const labels = panel.queries.map((q) => q.label ?? "");
  const rank = (n: string): number => (n === "other" ? 1e6 : labels.indexOf(n));
  return (a, b) => rank(a) - rank(b) || collator.compare(a, b);
}

function last(values: (number | null)[], end: number): number | null {
  for (let i = end - 1; i >= 0; i--) if (values[i] !== null && values[i] !== undefined) return values[i]!;
  return null;
}

function greatest(p: Picture, values: (number | null)[], span: Span): number | null {
  let max: number | null = null;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v === null || v === undefined || p.times[i]! < span.from || p.times[i]! > span.to) continue;
    if (max === null || v > max) max = v;
  }
  return max;
}
