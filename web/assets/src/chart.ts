// A time-series panel's chart: uPlot with a gliding time axis, a shared crosshair,
// open steps drawn as provisional, thresholds, and a drag that zooms.
import uPlot from "uplot";
import { glided, spanAt, type App } from "./app.ts";
import { color, otherDark, otherLight, withAlpha } from "./colors.ts";
import { h } from "./dom.ts";
import { Legend } from "./legend.ts";
import { picture, type Picture } from "./lines.ts";
import { alpha, gapsOf, linePath, lonely, openTail, reach, type Pen } from "./paths.ts";
import type { Source } from "./source.ts";
import { lowerBound } from "./store.ts";
import { currentInks, isDark } from "./theme.ts";
import { timeLabels, timeTicks } from "./time.ts";
import { Tooltip } from "./tooltip.ts";
import type { Panel } from "./types.ts";
import { axisText, limits, shown, ticks } from "./units.ts";

const empty: Picture = { times: [], stepMs: 1000, lines: [], values: [], drawn: [], final: 0 };
const font = '12px "Inter Variable", system-ui, sans-serif';

export class Chart {
  readonly root = h("div", { class: "chart" });
  picture = empty;

  #app: App;
  #panel: Panel;
  #sources: Source[];
  #canvas = h("div", { class: "plot" });
  #legend: Legend;
  #tooltip: Tooltip;
  #plot: uPlot | null = null;
  #shape = ""; // of the lines that the plot was built for
  #joins: number[] = []; // by line
  #versions = "";
  #drawnTo = 0;
  #drawnSpan = 0;
  #forced = true;
  #visible = true;
  #width = 0;
  #height = 0;
  #span = { from: 0, to: 1 };

  constructor(app: App, panel: Panel, sources: Source[]) {
    this.#app = app;
    this.#panel = panel;
    this.#sources = sources;
    this.#legend = new Legend(app, panel);
    this.#tooltip = new Tooltip(this.#canvas);
    this.root.append(this.#canvas, this.#legend.root);
    new ResizeObserver(() => this.#resized()).observe(this.#canvas);
    new IntersectionObserver((e) => {
      this.#visible = e[e.length - 1]!.isIntersecting;
    }).observe(this.root);
    app.crosshair.on(() => this.#cross());
    this.#canvas.addEventListener("dblclick", () => app.view.resume());
  }

  // force draws at the next frame even if neither data nor time moved.
  force(rebuild = false): void {
    this.#forced = true;
    if (rebuild) this.#shape = "";
    this.#versions = "";
  }

  unpin(): boolean {
    return this.#tooltip.unpin();
  }

  frame(now: number): void {
    if (!this.#visible || this.#width < 40 || this.#height < 40) return;
    const span = spanAt(this.#app, now);
    const versions = this.#sources.map((s) => `${s.still ? "s" : "l"}${s.table.version}`).join();
    const moved = glided(span.to - this.#drawnTo, span, this.#width);
    const fresh = versions !== this.#versions;
    if (!fresh && !moved && !this.#forced && span.to - span.from === this.#drawnSpan) return;
    this.#forced = false;
    this.#span = span;
    this.#drawnTo = span.to;
    this.#drawnSpan = span.to - span.from;
    if (fresh) {
      this.#versions = versions;
      this.#load(now);
    }
    this.#draw();
    this.#legend.frame(this.picture, this.#span, this.#app.crosshair.time);
    this.#tooltip.moved(this.#plot, this.picture);
  }

  colorOf(line: number): string {
    const slot = this.picture.lines[line]?.slot ?? 0;
    if (slot < 0) return isDark() ? otherDark : otherLight;
    return color(slot, isDark());
  }

  #load(now: number): void {
    this.picture = picture(this.#panel, this.#sources, this.#app.colors, this.#app.view.picked.get(this.#panel.id), now);
    this.#joins = this.picture.drawn.map((v) => reach(this.picture, v));
    const shape = this.picture.lines.map((l) => `${l.key}:${l.slot}`).join("\n") + isDark();
    const data = [this.picture.times, ...this.picture.drawn] as uPlot.AlignedData;
    if (shape !== this.#shape || !this.#plot) {
      this.#shape = shape;
      this.#build(data);
    } else {
      this.#plot.setData(data, false);
    }
    this.#legend.load(this, this.#sources);
  }

  #draw(): void {
    const u = this.#plot;
    if (!u) return;
    if (u.width !== this.#width || u.height !== this.#height) u.setSize({ width: this.#width, height: this.#height });
    u.setScale("x", { min: this.#span.from, max: this.#span.to });
    if (this.#app.crosshair.owner !== this && this.#app.crosshair.time !== null) this.#cross();
  }

  #resized(): void {
    const r = this.#canvas.getBoundingClientRect();
    this.#width = Math.floor(r.width);
    this.#height = Math.floor(r.height);
    this.#forced = true;
  }

  get #kind(): Pen["draw"] {
    return this.#panel.style?.draw ?? "lines";
  }

  #build(data: uPlot.AlignedData): void {
    this.#plot?.destroy();
    const inks = currentInks();
    const pen = (): Pen => ({ picture: this.picture, draw: this.#kind, color: (i) => this.colorOf(i) });
    const unit = this.#panel.unit ?? "";
    const n = this.picture.lines.length;
    const narrow = this.#width < 480;
    const opts: uPlot.Options = {
      width: this.#width,
      height: this.#height,
      ms: 1,
      padding: [10, 10, 0, 0],
      legend: { show: false },
      focus: { alpha: 1 },
      cursor: {
        y: false,
        points: this.#kind === "bars" ? { show: false } : { size: 7, width: 1.5 },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => null },
      },
      select: { show: true, left: 0, top: 0, width: 0, height: 0 },
      scales: {
        x: { time: false, range: (_u, a, b) => [a, b] },
        y: { range: (_u, a, b) => this.#limits(a, b, unit) },
      },
      axes: [
        {
          stroke: inks.muted, font, size: 28, gap: 6,
          grid: { show: false }, ticks: { show: false },
          splits: (_u, _i, a, b) => this.#timeTicks(a, b),
          values: (_u, splits) => timeLabels(splits),
        },
        {
          stroke: inks.muted, font, size: (_u, values) => room(values, narrow), gap: 6,
          grid: { stroke: inks.grid, width: 1 }, ticks: { show: false },
          splits: (_u, _i, a, b) => ticks(a, b, unit),
          values: (_u, splits) => splits.map((v) => axisText(v, unit)),
        },
      ],
      series: [{}, ...this.picture.lines.map((_l, i) => this.#series(i, pen))],
      hooks: {
        drawSeries: [(u, si) => openTail(u, si, pen())],
        draw: [(u) => this.#thresholds(u, unit)],
        setCursor: [(u) => this.#hovered(u)],
        setSelect: [(u) => this.#selected(u)],
        ready: [(u) => this.#listen(u)],
      },
    };
    if (this.#kind === "stacked") {
      opts.bands = [];
      for (let i = 1; i < n; i++) opts.bands.push({ series: [i, i + 1] });
    }
    this.#plot = new uPlot(opts, data, this.#canvas);
  }

  #series(i: number, pen: () => Pen): uPlot.Series {
    const c = this.colorOf(i);
    const kind = this.#kind;
    const s: uPlot.Series = {
      stroke: c,
      width: kind === "bars" ? 0 : 1.5,
      paths: linePath(pen),
      gaps: (u, si, i0, i1) => gapsOf(u, si, i0, Math.min(i1, this.picture.final - 1), this.picture, this.#joins[si - 1] ?? Infinity),
      points: {
        show: false,
        size: 4,
        fill: c,
        filter: (u, si, _show, _gaps) => (kind === "bars" ? null : lonely(u.data[si]!, 0, u.data[0].length - 1, this.picture, this.#joins[si - 1] ?? Infinity)),
      },
    };
    if (kind !== "lines") s.fill = withAlpha(c, alpha[kind]);
    return s;
  }

  // A tick whose label would be cut off at the right edge is left out.
  #timeTicks(from: number, to: number): number[] {
    const ticks = timeTicks(from, to, Math.max(2, Math.floor(this.#width / 96)));
    const room = to - from < 10 * 60_000 ? 22 : 10; // px from the tick to the edge
    return ticks.filter((t) => ((to - t) / (to - from)) * (this.#width - 70) >= room);
  }

  #limits(a: number | null, b: number | null, unit: string): [number, number] {
    const style = this.#panel.style ?? {};
    let min = a ?? 0;
    let max = b ?? 0;
    if (style.min !== undefined) min = Math.min(min, shown(style.min, unit));
    else if (min > 0 && min < 0.6 * max) min = 0;
    if (style.max !== undefined) max = Math.max(max, shown(style.max, unit));
    if (max === min) max = min === 0 ? 1 : min + Math.abs(min) * 0.1;
    return limits(min, max + (style.max === undefined ? (max - min) * 0.03 : 0), unit);
  }

  #thresholds(u: uPlot, unit: string): void {
    const inks = currentInks();
    const { ctx, bbox } = u;
    const dpr = devicePixelRatio;
    for (const t of this.#panel.style?.thresholds ?? []) {
      const y = Math.round(u.valToPos(shown(t.value, unit), "y", true)) + 0.5;
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      const ink = t.state === "bad" ? inks.bad : inks.warning;
      ctx.save();
      ctx.strokeStyle = ink;
      ctx.lineWidth = dpr;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      const words = `${t.label ? t.label + " " : ""}${axisText(shown(t.value, unit), unit)}`;
      ctx.font = `${12 * dpr}px "Inter Variable", system-ui, sans-serif`;
      ctx.textBaseline = "middle";
      ctx.textAlign = "left";
      const wide = ctx.measureText(words).width + 8 * dpr;
      ctx.fillStyle = inks.surface;
      ctx.fillRect(bbox.left, y - 9 * dpr, wide, 18 * dpr);
      ctx.fillStyle = ink;
      ctx.fillText(words, bbox.left + 4 * dpr, y);
      ctx.restore();
    }
  }

  #listen(u: uPlot): void {
    u.over.addEventListener("mouseleave", () => {
      if (this.#app.crosshair.owner === this) this.#app.crosshair.set(null, null);
      this.#tooltip.hide();
    });
    let downX = 0;
    u.over.addEventListener("mousedown", (e) => (downX = e.clientX));
    u.over.addEventListener("click", (e) => {
      if (Math.abs(e.clientX - downX) < 4) this.#tooltip.togglePin();
    });
  }

  #hovered(u: uPlot): void {
    const { left, top, idx } = u.cursor;
    if (left === undefined || left < 0 || idx === null || idx === undefined) {
      if (this.#app.crosshair.owner === this) this.#app.crosshair.set(null, null);
      this.#tooltip.hide();
      return;
    }
    if (!u.over.matches(":hover")) return;
    this.#app.crosshair.set(u.posToVal(left, "x"), this);
    this.#tooltip.show(u, this.picture, idx, left, top ?? 0, this.#kind, (i) => this.colorOf(i));
  }

  // #cross follows the crosshair of another panel.
  #cross(): void {
    const u = this.#plot;
    const { time, owner } = this.#app.crosshair;
    this.#legend.frame(this.picture, this.#span, time);
    if (!u || owner === this) return;
    const inside = time !== null && time >= this.#span.from && time <= this.#span.to;
    u.setCursor({ left: inside ? u.valToPos(time, "x") : -10, top: inside ? 0 : -10 }, false);
  }

  #selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width > 6) {
      const from = u.posToVal(left, "x");
      const to = u.posToVal(left + width, "x");
      if (to - from >= 2000) this.#app.view.fix({ from, to });
    }
    if (width > 0) u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }
}

// room is the width of the value axis: what its longest label needs, in steps, so that
// the picture does not move sideways with every change.
function room(values: string[] | null, narrow: boolean): number {
  const longest = Math.max(0, ...(values ?? []).map((v) => v.length));
  return Math.max(narrow ? 44 : 60, Math.ceil((longest * 7 + 14) / 8) * 8);
}

// rowAt is the row whose step holds time t, or -1.
export function rowAt(p: Picture, t: number): number {
  const i = lowerBound(p.times, t + 1) - 1;
  return i >= 0 && t < p.times[i]! + Math.max(p.stepMs, 1) ? i : -1;
}
