// A stat panel: one number, readable from three metres, how it changed over the range,
// and a sparkline below.
import { glided, spanAt, type App } from "./app.ts";
import { color } from "./colors.ts";
import { h, setAttr, setText } from "./dom.ts";
import { held, reduce, slotOf, totals } from "./lines.ts";
import { reach } from "./paths.ts";
import type { Source } from "./source.ts";
import { holds } from "./store.ts";
import { spark } from "./spark.ts";
import { isDark } from "./theme.ts";
import type { Panel } from "./types.ts";
import { durationText, parts, shown } from "./units.ts";

export class Stat {
  readonly root = h("div", { class: "stat" });
  summary = "";

  #app: App;
  #panel: Panel;
  #source: Source;
  #number = h("span", { class: "number" });
  #unit = h("span", { class: "unit" });
  #change = h("span", { class: "change" });
  #state = h("span", { class: "state", hidden: true });
  #canvas = h("canvas", { "aria-hidden": "true" });
  #version = -1;
  #still: unknown = null;
  #drawnTo = 0;
  #drawnSpan = 0;
  #width = 0;
  #forced = true;

  constructor(app: App, panel: Panel, source: Source) {
    this.#app = app;
    this.#panel = panel;
    this.#source = source;
    const value = h("p", { class: "value", "data-value": "" }, this.#number, this.#unit);
    this.root.append(value, h("div", { class: "notes" }, this.#state, this.#change), this.#canvas);
    new ResizeObserver(() => {
      this.#width = this.#canvas.clientWidth;
      this.#forced = true;
    }).observe(this.#canvas);
  }

  force(): void {
    this.#forced = true;
  }

  frame(now: number): void {
    const { from, to } = spanAt(this.#app, now);
    const table = this.#source.table;
    const moved = glided(to - this.#drawnTo, { from, to }, this.#width);
    const fresh = table.version !== this.#version || this.#source.still !== this.#still;
    if (!fresh && !moved && !this.#forced && to - from === this.#drawnSpan) return;
    this.#forced = false;
    this.#version = table.version;
    this.#still = this.#source.still;
    this.#drawnTo = to;
    this.#drawnSpan = to - from;

    const q = this.#panel.queries[0]!;
    const unit = q.unit ?? this.#panel.unit ?? "";
    const raw = totals(table, table.columns);
    const value = reduce(table, raw, q.reduce ?? "last", q.query.agg, from, to);
    this.#write(value, unit);
    this.#compare(value, raw, unit, from, to);
    const line = holds(q.query.agg) ? held(table.times, raw, table.stepMs, now) : raw;
    const slot = slotOf(this.#app.colors, { ...q, query: { ...q.query, by: [] } }, { labels: {}, other: false });
    const p = { times: table.times, stepMs: table.stepMs, lines: [], values: [], drawn: [], final: table.firstProvisional() };
    const style = this.#panel.style ?? {};
    spark(this.#canvas, table.times, line, p.final, from, to, reach(p, line), color(slot, isDark()), style.min, style.max);
  }

  #write(value: number | null, unit: string): void {
    const p = parts(value === null ? null : shown(value, unit), unit);
    setText(this.#number, p.number);
    setText(this.#unit, p.unit);
    setAttr(this.#number.parentElement!, "data-value", value === null ? "" : String(value));
    const hit = (this.#panel.style?.thresholds ?? []).filter((t) => value !== null && value >= t.value).pop();
    const state = hit ? (hit.state ?? "warning") : "";
    setAttr(this.root, "data-state", state);
    this.#state.hidden = !hit;
    if (hit) setText(this.#state, hit.label ?? (state === "bad" ? "too high" : "high"));
  }

  // The change is the value against the mean of the first tenth of the range.
  #compare(value: number | null, raw: (number | null)[], unit: string, from: number, to: number): void {
    const table = this.#source.table;
    const until = from + Math.max((to - from) / 10, 2 * table.stepMs);
    let sum = 0;
    let n = 0;
    let old = Infinity;
    for (let i = 0; i < raw.length && table.times[i]! <= until; i++) {
      const v = raw[i];
      if (v === null || v === undefined || table.times[i]! < from - table.stepMs) continue;
      sum += v;
      n++;
      old = Math.min(old, table.times[i]!);
    }
    const before = sum / n;
    const q = this.#panel.queries[0]!;
    const silent = value === null || n === 0 || before === 0 || unit === "s" || (q.reduce !== undefined && q.reduce !== "last");
    this.#change.hidden = silent;
    const span = durationText(Math.round((to - from) / 60_000) * 60_000 || to - from);
    const now = parts(value === null ? null : shown(value, unit), unit);
    this.summary = `${this.#panel.title} ${now.number} ${now.unit}`;
    if (silent) return;
    const percent = ((value! - before) / Math.abs(before)) * 100;
    const size = Math.abs(percent);
    const words = size < 0.5 ? "steady" : `${size >= 1000 ? "> 1000" : size < 10 ? size.toFixed(1) : size.toFixed(0)}\u00a0%`;
    const direction = size < 0.5 ? "flat" : percent > 0 ? "up" : "down";
    const good = this.#panel.style?.good;
    // A small movement is neither good nor bad news.
    setAttr(this.#change, "data-news", !good || direction === "flat" || size < 5 ? "none" : good === direction ? "good" : "bad");
    setAttr(this.#change, "data-direction", direction);
    setText(this.#change, words);
    setAttr(this.#change, "title", `against the first tenth of the last ${span}`);
    this.summary += direction === "flat" ? `, steady in ${span}` : `, ${direction} ${words} in ${span}`;
  }
}
