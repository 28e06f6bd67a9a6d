// What the viewer looks at, all of it in the address: the range or a fixed span, the
// panel that is expanded, the series that are picked.

export const ranges = ["1m", "5m", "15m", "1h", "3h", "6h", "12h", "24h"] as const;

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function rangeMs(range: string): number {
  const m = /^(\d+)([smhd])$/.exec(range);
  return m ? Number(m[1]) * unitMs[m[2]!]! : 900_000;
}

export function rangeWords(range: string): string {
  const m = /^(\d+)([mh])$/.exec(range);
  return m ? `${m[1]} ${m[2] === "m" ? "min" : "h"}` : range;
}

export interface Span {
  from: number;
  to: number;
}

export class View {
  range: string;
  fixed: Span | null = null; // instead of live
  expanded: string | null = null;
  picked = new Map<string, Set<string>>(); // by panel: the names of the series shown; absent means all
  onchange: (what: "time" | "panel" | "series") => void = () => {};

  #fallback: string;

  constructor(fallback: string) {
    this.#fallback = fallback;
    this.range = fallback;
    this.#read();
    addEventListener("popstate", () => {
      this.#read();
      this.onchange("time");
      this.onchange("panel");
      this.onchange("series");
    });
  }

  get span(): number {
    return this.fixed ? this.fixed.to - this.fixed.from : rangeMs(this.range);
  }

  setRange(range: string): void {
    this.range = range;
    this.fixed = null;
    this.#write(true);
    this.onchange("time");
  }

  // fix shows a span that stands still. soft does not add a step to go back to.
  fix(span: Span, soft = false): void {
    this.fixed = { from: Math.round(span.from), to: Math.round(span.to) };
    this.#write(!soft);
    this.onchange("time");
  }

  resume(): void {
    if (!this.fixed) return;
    this.fixed = null;
    this.#write(true);
    this.onchange("time");
  }

  expand(panel: string | null): void {
    this.expanded = panel;
    this.#write(true);
    this.onchange("panel");
  }

  pick(panel: string, names: Set<string> | null): void {
    if (names && names.size > 0) this.picked.set(panel, names);
    else this.picked.delete(panel);
    this.#write(false);
    this.onchange("series");
  }

  #read(): void {
    const q = new URLSearchParams(location.search);
    const range = q.get("range") ?? this.#fallback;
    this.range = (ranges as readonly string[]).includes(range) ? range : this.#fallback;
    const from = Number(q.get("from"));
    const to = Number(q.get("to"));
    this.fixed = from > 0 && to > from ? { from, to } : null;
    this.expanded = q.get("panel");
    this.picked.clear();
    for (const [key, value] of q) {
      if (key.startsWith("only.") && value) this.picked.set(key.slice(5), new Set(value.split("~")));
    }
  }

  #write(push: boolean): void {
    const q = new URLSearchParams();
    if (this.range !== this.#fallback) q.set("range", this.range);
    if (this.fixed) {
      q.set("from", String(this.fixed.from));
      q.set("to", String(this.fixed.to));
    }
    if (this.expanded) q.set("panel", this.expanded);
    for (const [panel, names] of this.picked) q.set(`only.${panel}`, [...names].join("~"));
    const search = q.toString();
    const url = location.pathname + (search ? `?${search}` : "");
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  }
}
