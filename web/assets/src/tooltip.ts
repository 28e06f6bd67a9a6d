// The tooltip of a chart: every series at one time, sorted by value, the nearest to
// the pointer emphasised. A click pins it to its time.
import type uPlot from "uplot";
import { h } from "./dom.ts";
import type { Picture } from "./lines.ts";
import { clockText, dayText, zone } from "./time.ts";
import { durationText, text } from "./units.ts";

const most = 12; // rows; more are counted

export class Tooltip {
  #root = h("div", { class: "tooltip", role: "status", hidden: true });
  #line = h("div", { class: "pin", hidden: true });
  #host: HTMLElement;
  #pinned: number | null = null; // the time it is pinned to
  #time = 0;
  #left = 0;

  constructor(host: HTMLElement) {
    this.#host = host;
    host.append(this.#root, this.#line);
  }

  show(u: uPlot, p: Picture, idx: number, left: number, top: number, draw: string, color: (line: number) => string): void {
    if (this.#pinned !== null) return;
    this.#time = p.times[idx]!;
    this.#left = left;
    this.#fill(u, p, idx, top, draw, color);
    this.#root.hidden = false;
    this.#place(u, top);
  }

  hide(): void {
    if (this.#pinned === null) this.#root.hidden = true;
  }

  togglePin(): void {
    if (this.#pinned !== null) this.unpin();
    else if (!this.#root.hidden) {
      this.#pinned = this.#time;
      this.#root.classList.add("pinned");
      this.#line.hidden = false;
    }
  }

  // unpin reports whether there was something to unpin.
  unpin(): boolean {
    if (this.#pinned === null) return false;
    this.#pinned = null;
    this.#root.classList.remove("pinned");
    this.#line.hidden = true;
    this.#root.hidden = true;
    return true;
  }

  // moved keeps a pinned tooltip at its time while the axis glides.
  moved(u: uPlot | null, p: Picture): void {
    if (this.#pinned === null || !u) return;
    if (p.times.length === 0 || this.#pinned < (u.scales["x"]!.min ?? 0)) {
      this.unpin();
      return;
    }
    this.#left = u.valToPos(this.#pinned, "x");
    this.#place(u, 8);
    this.#line.style.height = `${u.over.offsetTop + u.over.offsetHeight}px`;
    this.#line.style.transform = `translateX(${Math.round(u.over.offsetLeft + this.#left)}px)`;
  }

  #fill(u: uPlot, p: Picture, idx: number, top: number, draw: string, color: (line: number) => string): void {
    const rows = p.lines
      .map((l, i) => ({ l, i, v: p.values[i]![idx] ?? null, y: p.drawn[i]![idx] ?? null }))
      .filter((r) => r.v !== null)
      .sort((a, b) => b.v! - a.v!);
    const nearest = pickNearest(u, rows, top, draw);
    const total = draw === "stacked" || draw === "bars" ? rows.reduce((a, r) => a + r.v!, 0) : null;
    const t = p.times[idx]!;
    const open = idx >= p.final;
    const today = dayText(t) === dayText(Date.now());
    const list = h("ul", {}, ...rows.slice(0, most).map((r) => {
      const swatch = h("i", { "aria-hidden": "true" });
      swatch.style.background = color(r.i);
      return h("li", { class: r.i === nearest ? "near" : null }, swatch, h("span", {}, r.l.name), h("b", {}, text(r.v, r.l.unit)));
    }));
    if (rows.length > most) list.append(h("li", { class: "more" }, `and ${rows.length - most} more`));
    if (rows.length === 0) list.append(h("li", { class: "more" }, "no data in this step"));
    this.#root.replaceChildren(
      h("header", {}, h("b", {}, `${today ? "" : dayText(t) + " "}${clockText(t)} ${zone}`), h("small", {}, open ? "still filling" : `${durationText(p.stepMs)} step`)),
      list,
    );
    if (total !== null && rows.length > 1) {
      this.#root.append(h("footer", {}, h("span", {}, "total"), h("b", {}, text(total, rows[0]!.l.unit))));
    }
  }

  #place(u: uPlot, top: number): void {
    const box = this.#root.getBoundingClientRect();
    const host = this.#host.getBoundingClientRect();
    const offset = u.over.offsetLeft;
    let x = offset + this.#left + 14;
    if (x + box.width > host.width) x = offset + this.#left - box.width - 14;
    const y = Math.max(0, Math.min(host.height - box.height, u.over.offsetTop + top - box.height / 2));
    this.#root.style.transform = `translate(${Math.round(Math.max(0, x))}px, ${Math.round(y)}px)`;
  }
}

function pickNearest(u: uPlot, rows: { i: number; y: number | null }[], top: number, draw: string): number {
  let best = -1;
  let distance = Infinity;
  for (const r of rows) {
    if (r.y === null) continue;
    const y = u.valToPos(r.y, "y");
    // In a stack the pointer is in the band whose upper edge is the next above it.
    const d = draw === "stacked" || draw === "bars" ? (y <= top ? top - y : Infinity) : Math.abs(y - top);
    if (d < distance) {
      distance = d;
      best = r.i;
    }
  }
  return best;
}
