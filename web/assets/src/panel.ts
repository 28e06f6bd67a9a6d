// <fr-panel>: the frame around a picture: title, actions, what is missing or wrong.
import type { App } from "./app.ts";
import { Chart } from "./chart.ts";
import { openData } from "./data.ts";
import { h, setAttr, setText } from "./dom.ts";
import type { Part } from "./frame.ts";
import type { Picture } from "./lines.ts";
import type { Source } from "./source.ts";
import { Stat } from "./stat.ts";
import { TopTable } from "./toptable.ts";
import type { Panel } from "./types.ts";
import { durationText, suffix, text } from "./units.ts";

export class PanelElement extends HTMLElement implements Part {
  panel!: Panel;
  sources: Source[] = [];
  #app!: App;
  #picture!: Chart | Stat | TopTable;
  #note = h("div", { class: "note", hidden: true });
  #noteKey = "";
  #summarised = 0;
  #began = performance.now();

  setup(app: App, panel: Panel, sources: Source[]): void {
    this.#app = app;
    this.panel = panel;
    this.sources = sources;
    const body = this.querySelector(".body")!;
    switch (panel.kind) {
      case "stat":
        this.#picture = new Stat(app, panel, sources[0]!);
        break;
      case "table":
        this.#picture = new TopTable(app, panel, sources);
        break;
      default:
        this.#picture = new Chart(app, panel, sources);
    }
    body.replaceChildren(this.#picture.root, this.#note);
    const unit = suffix(panel.unit ?? "");
    const title = this.querySelector("h2");
    if (unit && title && panel.kind === "timeseries") title.append(h("small", {}, unit));
    this.querySelector('[data-action="data"]')?.addEventListener("click", () => this.showData());
    this.querySelector('[data-action="expand"]')?.addEventListener("click", () => this.toggleExpanded());
  }

  // drawn is what the chart shows, for tests and tools; null for other kinds.
  get drawn(): Picture | null {
    return this.#picture instanceof Chart ? this.#picture.picture : null;
  }

  frame(now: number): void {
    this.#tell();
    this.#picture.frame(now);
    const t = performance.now();
    if (t - this.#summarised > 5000) {
      this.#summarised = t;
      this.#summarise();
    }
  }

  force(rebuild = false): void {
    this.#picture.force(rebuild);
  }

  unpin(): boolean {
    return this.#picture instanceof Chart && this.#picture.unpin();
  }

  showData(): void {
    openData(this.#app, this.panel, this.sources);
  }

  toggleExpanded(): void {
    this.#app.view.expand(this.#app.view.expanded === this.panel.id ? null : this.panel.id);
  }

  // #tell says what is missing or what failed. The last picture stays, greyed.
  #tell(): void {
    const failed = this.sources.find((s) => s.phase === "failed");
    const waiting = this.sources.some((s) => s.phase === "waiting");
    const nothing = this.sources.every((s) => s.table.empty);
    let key = "";
    if (failed) key = `failed:${failed.error}:${nothing}:${failed.heard ? Math.floor((Date.now() - failed.heard) / 5000) : 0}`;
    else if (waiting && nothing) key = performance.now() - this.#began > 300 ? "waiting" : "";
    else if (nothing) key = "empty";
    if (key === this.#noteKey) return;
    this.#noteKey = key;
    this.classList.toggle("stale", Boolean(failed) && !nothing);
    this.classList.toggle("blank", nothing);
    this.#note.hidden = key === "";
    if (failed) this.#note.replaceChildren(...failure(failed, nothing));
    else if (key === "waiting") this.#note.replaceChildren(h("p", { class: "wait" }, "Asking for data"));
    else if (key === "empty") this.#note.replaceChildren(...howToSend(this.panel));
  }

  #summarise(): void {
    if (!(this.#picture instanceof Chart)) {
      setAttr(this, "aria-label", this.#picture.summary || this.panel.title);
      return;
    }
    const p = this.#picture.picture;
    const words = p.lines.slice(0, 6).map((l, i) => {
      const values = p.values[i]!.slice(0, l.grows ? p.final : undefined).filter((v): v is number => v !== null);
      const last = values[values.length - 1];
      const first = values[0];
      if (last === undefined || first === undefined) return `${l.name} no data`;
      const change = first === 0 ? "" : `, ${last >= first ? "up" : "down"} ${Math.abs(((last - first) / first) * 100).toFixed(0)} %`;
      return `${l.name} ${text(last, l.unit)}${change}`;
    });
    setAttr(this, "aria-label", `${this.panel.title}: ${words.join("; ")}${p.lines.length > 6 ? ` and ${p.lines.length - 6} more` : ""}`);
    const live = this.querySelector(".sr-summary");
    if (live) setText(live, words.join("; "));
  }
}

function failure(s: Source, nothing: boolean): Node[] {
  const age = s.heard ? ` This is from ${durationText(Math.max(1000, Math.round((Date.now() - s.heard) / 1000) * 1000))} ago.` : "";
  return [h("p", { class: "failed", role: "alert", title: s.error }, h("b", {}, "Query failed. "), s.error + (nothing ? "" : age))];
}

function howToSend(panel: Panel): Node[] {
  const metric = panel.queries[0]!.query.metric;
  if (panel.kind === "stat") return [h("p", {}, "No data in this range")];
  const type = { rate: "counter", increase: "counter", sum: "counter", count: "counter", distinct: "set" }[panel.queries[0]!.query.agg] ?? (panel.queries[0]!.query.agg.startsWith("p") ? "distribution" : "gauge");
  const token = document.querySelector('form[action="/signout"]') ? ' -H "Authorization: Bearer $FRESHET_TOKEN"' : "";
  const value = type === "set" ? '"a"' : "1";
  return [
    h("p", {}, "No data for ", h("b", {}, metric), " in this range. Send some:"),
    h("pre", { tabindex: "0" }, `curl ${location.origin}/api/v1/points${token} -d '{"metric":"${metric}","type":"${type}","value":${value}}'`),
  ];
}
