// What a chart draws: the tables of its queries brought onto one time axis, named,
// coloured, stacked where the panel says so. Pure.
import type { Registry } from "./colors.ts";
import type { Source } from "./source.ts";
import { grows, holds, type Column, type Table } from "./store.ts";
import type { Panel, PanelQuery } from "./types.ts";
import { shown } from "./units.ts";

export interface Line {
  key: string;
  name: string;
  unit: string;
  slot: number; // of the palette; -1 is the folded rest
  grows: boolean; // the newest value counts when its step is final
  holds: boolean;
  query: number; // index of the panel's query
}

export interface Picture {
  times: number[];
  stepMs: number;
  lines: Line[];
  values: (number | null)[][]; // by line, in the shown unit, as measured
  drawn: (number | null)[][]; // by line, as drawn: open steps held, stacked values summed
  final: number; // index of the first row that may still change
}

// Steps that ended less than this ago may still be filling up, since producers send
// in batches.
const filling = 2000;

// seriesName fills a template such as {{country}} from the labels.
export function seriesName(q: PanelQuery, c: Pick<Column, "labels" | "other">, fallback: string): string {
  if (c.other) return "other";
  const values = (q.query.by ?? Object.keys(c.labels)).map((n) => c.labels[n] ?? "");
  const labels = values.join(" · ");
  if (!q.label) return labels || fallback;
  if (q.label.includes("{{")) return q.label.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, n: string) => c.labels[n] ?? "");
  return labels ? `${q.label} · ${labels}` : q.label;
}

// slotOf is the colour of a series: by the value of its labels, or by what it measures
// when it has none.
export function slotOf(colors: Registry, q: PanelQuery, c: Pick<Column, "labels" | "other">): number {
  if (c.other) return -1;
  const by = q.query.by ?? [];
  if (by.length === 0) return q.label ? colors.slot("label", q.label) : colors.slot("metric", q.query.metric);
  return colors.slot(by.join("\u0001"), by.map((n) => c.labels[n] ?? "").join("\u0001"));
}

function learn(colors: Registry, q: PanelQuery, columns: Column[]): void {
  const by = q.query.by ?? [];
  if (by.length === 0) return;
  const values = columns.filter((c) => !c.other).map((c) => by.map((n) => c.labels[n] ?? "").join("\u0001"));
  colors.assign(by.join("\u0001"), values);
}

export function picture(panel: Panel, sources: Source[], colors: Registry, picked: Set<string> | undefined, now: number): Picture {
  const tables = sources.map((s) => s.table);
  const times = sharedTimes(tables);
  const stepMs = Math.max(1, ...tables.map((t) => (t.empty ? 0 : t.stepMs)));
  const provisional = Math.min(...tables.map((t) => (t.empty ? Infinity : t.provisionalFrom)));
  let final = times.length;
  while (final > 0 && times[final - 1]! >= provisional) final--;
  const stacked = panel.style?.draw === "stacked" || panel.style?.draw === "bars";

  const all: { line: Line; values: (number | null)[]; size: number }[] = [];
  const free = panel.queries.filter((q) => (q.query.by ?? []).length === 0 && q.label);
  colors.assign("label", free.map((q) => q.label!));
  panel.queries.forEach((q, i) => {
    const table = tables[i]!;
    const unit = q.unit ?? panel.unit ?? "";
    learn(colors, q, table.columns);
    for (const c of table.columns) {
      const name = seriesName(q, c, panel.title);
      const values = onto(times, table, c).map((v) => (v === null ? null : shown(v, unit)));
      const line: Line = { key: `${i}\u0003${c.key}`, name, unit, slot: slotOf(colors, q, c), grows: grows(q.query.agg), holds: holds(q.query.agg), query: i };
      all.push({ line, values, size: values.reduce<number>((a, v) => a + (v ?? 0), 0) });
    }
  });
  // The order must not jump while values change, so that a stack is sorted by name,
  // except for the folded rest, which lies on top.
  all.sort((a, b) => a.line.query - b.line.query || Number(a.line.slot < 0) - Number(b.line.slot < 0) || compare(a.line.name, b.line.name));
  const visible = all.filter((a) => !picked || picked.size === 0 || picked.has(a.line.name));
  const drawn = (visible.length > 0 ? visible : all).map((a) => (a.line.holds ? held(times, a.values, stepMs, now) : a.values));
  const chosen = visible.length > 0 ? visible : all;
  return {
    times,
    stepMs,
    lines: chosen.map((a) => a.line),
    values: chosen.map((a) => a.values),
    drawn: stacked ? stack(drawn) : drawn,
    final,
  };
}

const collator = new Intl.Collator("en", { numeric: true });
const compare = (a: string, b: string): number => collator.compare(a, b);

// held keeps an aggregate that can only grow at the level of the step before for as
// long as its open step has not come up to it: a step that is filling is no fall.
export function held(times: number[], values: (number | null)[], stepMs: number, now: number): (number | null)[] {
  const out = values.slice();
  for (let i = 0; i < times.length; i++) {
    if (times[i]! + stepMs <= now - filling) continue;
    const before = i > 0 ? out[i - 1] : null;
    if (before === null || before === undefined) continue;
    const v = out[i];
    // An open step with nothing in it yet is held too, but not one that has not begun.
    if (v === null || v === undefined) {
      if (times[i]! <= now) out[i] = before;
    } else if (v < before) out[i] = before;
  }
  return out;
}

// stack sums lines from the last to the first, so that the first is the outline of
// the whole. Where no line has a value there is a gap.
export function stack(lines: (number | null)[][]): (number | null)[][] {
  const out: (number | null)[][] = new Array<(number | null)[]>(lines.length);
  let below: (number | null)[] | null = null;
  for (let k = lines.length - 1; k >= 0; k--) {
    const own = lines[k]!;
    const sum = own.map((v, i) => {
      const b = below ? below[i]! : null;
      return v === null ? b : v + (b ?? 0);
    });
    out[k] = sum;
    below = sum;
  }
  // A lower line without a value where a higher one has one stands at 0.
  const top = out[0];
  if (top) for (let k = 1; k < out.length; k++) out[k] = out[k]!.map((v, i) => (v === null && top[i] !== null ? 0 : v));
  return out;
}

function sharedTimes(tables: Table[]): number[] {
  const filled = tables.filter((t) => t.times.length > 0);
  if (filled.length === 0) return [];
  const first = filled[0]!.times;
  if (filled.every((t) => same(t.times, first))) return first.slice();
  return [...new Set(filled.flatMap((t) => t.times))].sort((a, b) => a - b);
}

function same(a: number[], b: number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function onto(times: number[], table: Table, c: Column): (number | null)[] {
  if (table.times.length === times.length) return c.values;
  const out = new Array<number | null>(times.length).fill(null);
  let j = 0;
  for (let i = 0; i < table.times.length; i++) {
    while (times[j]! < table.times[i]!) j++;
    out[j] = c.values[i] ?? null;
  }
  return out;
}

// reduceTable makes one number of the rows in [from, to): the sum over the columns of
// the latest step, or the sum, mean or greatest of the steps. Values as measured.
export function totals(table: Table, columns: Column[]): (number | null)[] {
  return table.times.map((_, i) => {
    let sum: number | null = null;
    for (const c of columns) {
      const v = c.values[i];
      if (v !== null && v !== undefined) sum = (sum ?? 0) + v;
    }
    return sum;
  });
}

export function reduce(table: Table, values: (number | null)[], how: string, agg: string, from: number, to: number): number | null {
  if (how === "last") return latest(table, values, agg, to);
  let sum = 0;
  let n = 0;
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    const t = table.times[i]!;
    if (v === null || v === undefined || t < from || t > to) continue;
    sum += v;
    n++;
    if (v > max) max = v;
  }
  if (n === 0) return null;
  return how === "sum" ? sum : how === "mean" ? sum / n : max;
}

// latest is the newest value. One that can only grow counts when its step is final,
// unless nothing else is there.
function latest(table: Table, values: (number | null)[], agg: string, to: number): number | null {
  const final = grows(agg) ? table.firstProvisional() : values.length;
  for (let i = final - 1; i >= 0; i--) if (values[i] !== null && values[i] !== undefined && table.times[i]! <= to) return values[i]!;
  for (let i = values.length - 1; i >= final; i--) if (values[i] !== null && values[i] !== undefined) return values[i]!;
  return null;
}
