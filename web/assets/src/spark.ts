// A sparkline: one line on a small canvas, no axes.
import { withAlpha } from "./colors.ts";

export function spark(
  canvas: HTMLCanvasElement, times: number[], values: (number | null)[], final: number,
  from: number, to: number, joins: number, ink: string, min?: number, max?: number,
): void {
  const dpr = devicePixelRatio;
  const w = Math.round(canvas.clientWidth * dpr);
  const hgt = Math.round(canvas.clientHeight * dpr);
  if (w === 0 || hgt === 0) return;
  if (canvas.width !== w || canvas.height !== hgt) {
    canvas.width = w;
    canvas.height = hgt;
  }
  const ctx = canvas.getContext("2d")!;
  ctx.clearRect(0, 0, w, hgt);
  let lo = Infinity;
  let hi = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v === null || v === undefined || times[i]! < from) continue;
    if (v < lo) lo = v;
    if (v > hi) hi = v;
  }
  if (lo > hi) return;
  if (lo >= 0 && lo < 0.6 * hi) lo = 0;
  if (min !== undefined) lo = Math.min(lo, min);
  if (max !== undefined) hi = Math.max(hi, Math.min(max, hi * 1.6));
  if (hi === lo) {
    hi += Math.abs(hi) * 0.5 || 1;
    lo -= Math.abs(lo) * 0.5;
  }
  const pad = 1.5 * dpr;
  const x = (t: number): number => ((t - from) / (to - from)) * w;
  const y = (v: number): number => hgt - pad - ((v - lo) / (hi - lo)) * (hgt - 2 * pad);
  ctx.lineJoin = "round";
  let run: [number, number][] = [];
  const flush = (dashed: boolean): void => {
    if (run.length > 1) {
      ctx.beginPath();
      run.forEach(([a, b], i) => (i === 0 ? ctx.moveTo(a, b) : ctx.lineTo(a, b)));
      ctx.strokeStyle = ink;
      ctx.lineWidth = 1.5 * dpr;
      ctx.setLineDash(dashed ? [2 * dpr, 2 * dpr] : []);
      ctx.stroke();
      ctx.lineTo(run[run.length - 1]![0], hgt);
      ctx.lineTo(run[0]![0], hgt);
      ctx.fillStyle = withAlpha(ink, dashed ? 0.05 : 0.1);
      ctx.fill();
    } else if (run.length === 1 && !dashed) {
      ctx.fillStyle = ink;
      ctx.fillRect(run[0]![0] - dpr, run[0]![1] - dpr, 2 * dpr, 2 * dpr);
    }
    run = [];
  };
  let last = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v === null || v === undefined) continue;
    const t = times[i]!;
    if (run.length > 0 && t - last > joins) flush(i - 1 >= final);
    if (i >= final && run.length > 0 && last < (times[final] ?? Infinity)) {
      const joint = run[run.length - 1]!;
      flush(false);
      run.push(joint);
    }
    run.push([x(t), y(v)]);
    last = t;
  }
  flush(values.length > final && last >= (times[final] ?? Infinity));
}
