// A columnar table of one query: times and one column a series. Pure: it knows no
// clock, no socket and no picture.
import type { WireAnswer } from "./types.ts";

export interface Column {
  key: string;
  labels: Record<string, string>;
  other: boolean;
  values: (number | null)[]; // as long as the table's times; null is no data
}

// A table never holds more rows than this, whatever the server sends.
export const maxRows = 20000;

export function seriesKey(labels: Record<string, string> | null, other: boolean): string {
  if (other) return "\u0000other";
  const names = Object.keys(labels ?? {}).sort();
  return names.map((n) => `${n}\u0001${labels![n]}`).join("\u0002");
}

export class Table {
  times: number[] = []; // epoch milliseconds, rising
  columns: Column[] = [];
  stepMs = 1000;
  provisionalFrom = Infinity; // rows from here on may still change
  watermark = 0; // epoch milliseconds; 0 when nothing has arrived
  version = 0; // rises with every change
  #byKey = new Map<string, Column>();

  get empty(): boolean {
    return this.times.length === 0 || this.columns.length === 0;
  }

  // replace takes a whole answer. Columns that the answer has keep their identity.
  replace(a: WireAnswer): void {
    const times = a.times ?? [];
    this.times = times.slice(-maxRows);
    const skip = times.length - this.times.length;
    const columns: Column[] = [];
    const byKey = new Map<string, Column>();
    for (const s of a.series ?? []) {
      const key = seriesKey(s.labels, s.other ?? false);
      const column = this.#byKey.get(key) ?? { key, labels: s.labels ?? {}, other: s.other ?? false, values: [] };
      column.values = skip > 0 ? s.values.slice(skip) : s.values.slice();
      columns.push(column);
      byKey.set(key, column);
    }
    this.columns = columns;
    this.#byKey = byKey;
    this.#meta(a);
  }

  // merge takes an answer that holds only what changed: its rows overwrite rows of
  // the same time, new times are inserted where they belong. A series that the
  // update does not name keeps its values.
  merge(a: WireAnswer): void {
    const times = a.times ?? [];
    const rows = times.map((t) => this.#row(t));
    for (const s of a.series ?? []) {
      const key = seriesKey(s.labels, s.other ?? false);
      let column = this.#byKey.get(key);
      if (!column) {
        column = { key, labels: s.labels ?? {}, other: s.other ?? false, values: new Array<number | null>(this.times.length).fill(null) };
        this.columns.push(column);
        this.#byKey.set(key, column);
      }
      for (let i = 0; i < rows.length; i++) {
        const row = this.#rowOf(times[i]!, rows[i]!);
        column.values[row] = s.values[i] ?? null;
      }
    }
    if (this.times.length > maxRows) this.#drop(this.times.length - maxRows);
    this.#meta(a);
  }

  // zeroFill makes steps without points 0 from the first step that had any, as is true
  // of counters of events, and adds the steps up to the watermark that the server had
  // nothing to say of.
  zeroFill(): void {
    if (this.empty) return;
    const end = Math.min(this.watermark, this.provisionalFrom);
    for (let t = this.times[this.times.length - 1]! + this.stepMs; t + this.stepMs <= end && this.times.length < maxRows; t += this.stepMs) {
      this.times.push(t);
      for (const c of this.columns) c.values.push(null);
    }
    let first = 0;
    while (first < this.times.length && this.columns.every((c) => c.values[first] === null)) first++;
    for (const c of this.columns) {
      for (let i = first; i < this.times.length && this.times[i]! < end; i++) c.values[i] ??= 0;
    }
  }

  // trim forgets rows that are older than from, keeping one so that a line can
  // leave the picture on the left.
  trim(from: number): void {
    let n = 0;
    while (n + 1 < this.times.length && this.times[n + 1]! < from) n++;
    // Rows are dropped in bulk, since removing the first of a long array costs its length.
    if (n > 32 || n > this.times.length / 8) this.#drop(n);
  }

  // copy returns a table that later updates leave alone.
  copy(): Table {
    const t = new Table();
    t.times = this.times.slice();
    t.columns = this.columns.map((c) => ({ ...c, values: c.values.slice() }));
    for (const c of t.columns) t.#byKey.set(c.key, c);
    t.stepMs = this.stepMs;
    t.provisionalFrom = this.provisionalFrom;
    t.watermark = this.watermark;
    t.version = this.version;
    return t;
  }

  // firstProvisional is the index of the first row that may still change.
  firstProvisional(): number {
    let i = this.times.length;
    while (i > 0 && this.times[i - 1]! >= this.provisionalFrom) i--;
    return i;
  }

  #meta(a: WireAnswer): void {
    if (a.step_ms) this.stepMs = a.step_ms;
    if (a.provisional_from !== undefined) this.provisionalFrom = a.provisional_from > 0 ? a.provisional_from : Infinity;
    const head = a.head ?? a.watermark;
    if (head !== undefined) this.watermark = head;
    this.version++;
  }

  // #row returns the row of time t, inserted if it was not there. Later insertions
  // may move it, hence #rowOf.
  #row(t: number): number {
    const at = lowerBound(this.times, t);
    if (this.times[at] === t) return at;
    if (at === this.times.length) {
      this.times.push(t);
      for (const c of this.columns) c.values.push(null);
    } else {
      this.times.splice(at, 0, t);
      for (const c of this.columns) c.values.splice(at, 0, null);
    }
    return at;
  }

  #rowOf(t: number, hint: number): number {
    return this.times[hint] === t ? hint : lowerBound(this.times, t);
  }

  #drop(n: number): void {
    if (n <= 0) return;
    this.times.splice(0, n);
    for (const c of this.columns) c.values.splice(0, n);
  }
}

// lowerBound is the index of the first element that is not less than x.
export function lowerBound(a: ArrayLike<number>, x: number): number {
  let lo = 0;
  let hi = a.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid]! < x) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

// Aggregates of an open step that can only grow: what is there so far is less than
// what it will be, and must not look like a fall.
const growing = new Set(["count", "sum", "rate", "increase", "distinct"]);

function high(agg: string): boolean {
  return /^p\d/.test(agg) && Number(agg.slice(1)) > 50;
}

// grows says that a step which is filling has too little, or for a high quantile too
// few observations to be one.
export function grows(agg: string): boolean {
  return growing.has(agg) || high(agg);
}

// holds says that a step which is filling is drawn no lower than the one before.
export function holds(agg: string): boolean {
  return grows(agg) || agg === "max";
}
