// A source is one query of the page with what is known of its answer. Panels whose
// queries are equal share a source, and so one subscription.
import type { Clock } from "./clock.ts";
import type { Live } from "./live.ts";
import { Table } from "./store.ts";
import type { PanelQuery, Query, Snapshot, Update, WireAnswer } from "./types.ts";
import type { Span, View } from "./view.ts";
import { rangeMs } from "./view.ts";

// Steps that a range is cut into, in seconds.
const ladder = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export type Phase = "waiting" | "ready" | "failed";

export class Source {
  readonly id: string;
  readonly query: Query;
  readonly zero: boolean;
  readonly steps: number;
  live = new Table();
  still: Table | null = null; // shown instead of live while the view stands still
  phase: Phase = "waiting";
  error = "";
  heard = 0; // Date.now() of the last good answer

  #serial = 0;
  #cancel: AbortController | null = null;

  #own = true; // the step is of our own choosing; false once the server has refused it

  constructor(id: string, q: PanelQuery) {
    this.id = id;
    this.query = q.query;
    this.zero = q.zero ?? false;
    this.steps = q.steps ?? 0;
  }

  // key is equal for panel queries that can share a source.
  static key(q: PanelQuery): string {
    return JSON.stringify([q.query, q.zero ?? false, q.steps ?? 0]);
  }

  get table(): Table {
    return this.still ?? this.live;
  }

  get agg(): string {
    return this.query.agg;
  }

  subscribe(live: Live, clock: Clock, range: string, changed: () => void): void {
    const step = this.#step(rangeMs(range));
    live.subscribe(this.id, { ...this.query, step, range }, {
      snapshot: (m: Snapshot) => {
        this.live.replace(m);
        if (this.zero) this.live.zeroFill();
        this.#good(clock, m);
        changed();
      },
      update: (m: Update) => {
        this.live.merge(m);
        if (this.zero) this.live.zeroFill();
        this.live.trim(clock.now() - rangeMs(range) - 2 * this.live.stepMs);
        this.#good(clock, m);
        changed();
      },
      refused: (error: string) => {
        // A server with longer windows cannot give every step: then it chooses.
        if (this.#own && step !== (this.query.step ?? "auto")) {
          this.#own = false;
          this.subscribe(live, clock, range, changed);
          return;
        }
        this.#failed(error);
        changed();
      },
    });
  }

  // follow makes the source show what the view asks for: the live table, a copy of it
  // while it covers the fixed span, or an answer fetched for that span.
  follow(view: View, changed: () => void): void {
    this.#cancel?.abort();
    const serial = ++this.#serial;
    if (!view.fixed) {
      this.still = null;
      return;
    }
    if (this.#covers(view.fixed)) {
      this.still = this.live.copy();
      return;
    }
    this.still ??= this.live.copy();
    this.#cancel = new AbortController();
    void this.#fetch(view.fixed, this.#cancel.signal).then((table) => {
      if (serial !== this.#serial || !table) return;
      this.still = table;
      changed();
    });
  }

  // A zoom into what is there would show it in the coarse steps of the wide picture,
  // so that only a span of about the live one's length is served from memory.
  #covers(span: Span): boolean {
    const t = this.live.times;
    if (t.length < 2) return false;
    const held = t[t.length - 1]! - t[0]!;
    return t[0]! <= span.from + 2 * this.live.stepMs && t[t.length - 1]! >= span.to - 10_000 - this.live.stepMs && span.to - span.from > held * 0.8;
  }

  async #fetch(span: Span, signal: AbortSignal): Promise<Table | null> {
    try {
      const r = await fetch("/api/v1/query", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...this.query, step: this.#step(span.to - span.from), from: span.from, to: span.to }),
        signal,
      });
      const body = (await r.json()) as WireAnswer & { error?: string };
      if (!r.ok) {
        this.#failed(body.error ?? `the server answered ${r.status}`);
        return null;
      }
      const table = new Table();
      table.replace(body);
      if (this.zero) table.zeroFill();
      this.phase = "ready";
      this.error = "";
      return table;
    } catch (e) {
      if (!signal.aborted) this.#failed(e instanceof Error ? e.message : String(e));
      return null;
    }
  }

  #step(span: number): string {
    const given = this.query.step ?? "auto";
    if (given !== "auto" || this.steps === 0 || !this.#own) return given;
    return `${ladder.find((s) => span / 1000 / s <= this.steps) ?? ladder[ladder.length - 1]!}s`;
  }

  #good(clock: Clock, m: WireAnswer): void {
    clock.heard(m.server_now, m.head ?? m.watermark);
    clock.skipped += m.skipped ?? 0;
    this.phase = "ready";
    this.error = "";
    this.heard = Date.now();
  }

  #failed(error: string): void {
    this.phase = "failed";
    this.error = error;
  }
}
