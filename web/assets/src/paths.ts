// How lines, areas and bars become paths: the final part drawn by uPlot's builder,
// the open steps by hand, dashed and lighter.
import uPlot from "uplot";
import { withAlpha } from "./colors.ts";
import type { Picture } from "./lines.ts";

export interface Pen {
  picture: Picture;
  draw: "lines" | "area" | "stacked" | "bars";
  color(line: number): string;
}

const linear = uPlot.paths.linear!();

export const alpha = { area: 0.1, stacked: 0.26, bars: 0.85, open: 0.5 };

// linePath draws rows that are final; the row before the open ones is the last.
export function linePath(pen: () => Pen): uPlot.Series.PathBuilder {
  return (u, si, i0, i1) => {
    const { picture, draw } = pen();
    const end = Math.min(i1, picture.final - 1);
    if (end < i0) return null;
    if (draw === "bars") {
      const fill = new Path2D();
      for (let i = i0; i <= end; i++) bar(u, picture, si, i, fill);
      return { stroke: null, fill, clip: null, band: null, gaps: null, flags: 0 } as unknown as uPlot.Series.Paths;
    }
    return linear(u, si, i0, end);
  };
}

function bar(u: uPlot, p: Picture, si: number, i: number, into: Path2D): void {
  const top = u.data[si]![i];
  if (top === null || top === undefined) return;
  const below = si < u.data.length - 1 ? (u.data[si + 1]![i] ?? 0) : 0;
  if (top === below) return;
  const dpr = devicePixelRatio;
  const x0 = u.valToPos(p.times[i]!, "x", true);
  const x1 = u.valToPos(p.times[i]! + p.stepMs, "x", true);
  const y0 = u.valToPos(below, "y", true);
  const y1 = u.valToPos(top, "y", true);
  const gap = x1 - x0 > 3 * dpr ? dpr : 0;
  into.rect(Math.round(x0), y1, Math.max(1, Math.round(x1) - Math.round(x0) - gap), y0 - y1);
}

// openTail draws the rows that may still change, from the last final one on.
export function openTail(u: uPlot, si: number, pen: Pen): void {
  const { picture, draw } = pen;
  const values = u.data[si]!;
  if (picture.final >= picture.times.length) return;
  const ctx = u.ctx;
  const dpr = devicePixelRatio;
  const color = pen.color(si - 1);
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  ctx.clip();
  if (draw === "bars") {
    const path = new Path2D();
    for (let i = picture.final; i < values.length; i++) bar(u, picture, si, i, path);
    ctx.fillStyle = withAlpha(color, alpha.bars * 0.45);
    ctx.fill(path);
    ctx.restore();
    return;
  }
  const points: [number, number, number][] = []; // x, y, y of what is below
  const lower = draw === "stacked" && si < u.data.length - 1 ? u.data[si + 1]! : null;
  const base = u.valToPos(Math.max(u.scales["y"]!.min ?? 0, 0), "y", true);
  for (let i = Math.max(0, picture.final - 1); i < values.length; i++) {
    const v = values[i];
    if (v === null || v === undefined) {
      if (i === picture.final - 1) continue;
      break;
    }
    points.push([u.valToPos(picture.times[i]!, "x", true), u.valToPos(v, "y", true), lower ? u.valToPos(lower[i] ?? 0, "y", true) : base]);
  }
  extend(u, picture, points);
  if (points.length > 1) {
    if (draw !== "lines") {
      ctx.beginPath();
      points.forEach(([x, y], k) => (k === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
      for (let k = points.length - 1; k >= 0; k--) ctx.lineTo(points[k]![0], points[k]![2]);
      ctx.fillStyle = withAlpha(color, (draw === "stacked" ? alpha.stacked : alpha.area) * alpha.open);
      ctx.fill();
    }
    ctx.beginPath();
    points.forEach(([x, y], k) => (k === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
    ctx.setLineDash([3 * dpr, 3 * dpr]);
    ctx.lineWidth = 1.5 * dpr;
    ctx.strokeStyle = color;
    ctx.stroke();
  }
  ctx.restore();
}

// extend draws a wide open step as far as time has come.
function extend(u: uPlot, p: Picture, points: [number, number, number][]): void {
  const end = points[points.length - 1];
  const t = p.times[p.times.length - 1]!;
  const to = Math.min(t + p.stepMs, u.scales["x"]!.max ?? t);
  const x = u.valToPos(to, "x", true);
  if (end && p.final < p.times.length && x - end[0] > 12 * devicePixelRatio && u.valToPos(t, "x", true) - end[0] < 1) points.push([x, end[1], end[2]]);
}

// reach is how far apart two values may lie and still be joined: two and a half times
// the usual distance, so that a metric posted every ten seconds is a line in one-second
// steps, while a stop is a gap.
export function reach(p: Picture, values: (number | null)[]): number {
  const distances: number[] = [];
  let last = -1;
  for (let i = values.length - 1; i >= 0 && distances.length < 64; i--) {
    if (values[i] === null || values[i] === undefined) continue;
    if (last >= 0) distances.push(p.times[last]! - p.times[i]!);
    last = i;
  }
  distances.sort((a, b) => a - b);
  return Math.max(1.5 * p.stepMs, 2.5 * (distances[distances.length >> 1] ?? 0));
}

// gapsOf lists the spans in pixels where a line is broken.
export function gapsOf(u: uPlot, si: number, i0: number, i1: number, p: Picture, joins: number): [number, number][] {
  const values = u.data[si]!;
  const gaps: [number, number][] = [];
  let last = -1;
  for (let i = i0; i <= i1; i++) {
    if (values[i] === null || values[i] === undefined) continue;
    if (last >= 0 && p.times[i]! - p.times[last]! > joins) {
      gaps.push([Math.round(u.valToPos(p.times[last]!, "x", true)), Math.round(u.valToPos(p.times[i]!, "x", true))]);
    }
    last = i;
  }
  return gaps;
}

// lonely lists rows that no line reaches, which are drawn as dots.
export function lonely(values: ArrayLike<number | null | undefined>, i0: number, i1: number, p: Picture, joins: number): number[] | null {
  const out: number[] = [];
  let before = -1;
  let here = -1;
  const check = (next: number): void => {
    if (here < 0) return;
    const left = before >= 0 && p.times[here]! - p.times[before]! <= joins;
    const right = next >= 0 && p.times[next]! - p.times[here]! <= joins;
    if (!left && !right) out.push(here);
  };
  for (let i = i0; i <= i1; i++) {
    if (values[i] === null || values[i] === undefined) continue;
    check(i);
    before = here;
    here = i;
  }
  check(-1);
  return out.length > 0 ? out : null;
}
