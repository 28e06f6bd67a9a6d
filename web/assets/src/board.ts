// <fr-board>: a page of panels that share one live connection, one clock, one time
// range and one crosshair.
import { Crosshair, type App } from "./app.ts";
import { Clock } from "./clock.ts";
import { Registry } from "./colors.ts";
import { openHelp, openSearch, type Place } from "./dialogs.ts";
import { Frames } from "./frame.ts";
import { Pill, togglePause, wireTime } from "./header.ts";
import { listen } from "./keys.ts";
import { Live } from "./live.ts";
import { PanelElement } from "./panel.ts";
import { Source } from "./source.ts";
import { onTheme } from "./theme.ts";
import type { Board, PanelQuery } from "./types.ts";
import { ranges, rangeMs, View } from "./view.ts";

interface Listed {
  id: string;
  title: string;
}

export class BoardElement extends HTMLElement {
  #app!: App;
  #live!: Live;
  #panels: PanelElement[] = [];
  #sources = new Map<string, Source>(); // by query

  connectedCallback(): void {
    const board = JSON.parse(this.querySelector("#board")!.textContent!) as Board;
    const now = Number(this.dataset["now"] ?? "0");
    const view = new View(board.range);
    const clock = new Clock(now);
    this.#app = { view, clock, colors: new Registry(), crosshair: new Crosshair() };
    this.#live = new Live(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`);

    const byID = new Map(board.panels.map((p) => [p.id, p]));
    for (const e of this.querySelectorAll<PanelElement>("fr-panel")) {
      const panel = byID.get(e.dataset["panel"]!);
      if (!panel) continue;
      e.setup(this.#app, panel, panel.queries.map((q) => this.#source(q)));
      this.#panels.push(e);
    }
    this.#run(board);
  }

  // Equal queries of a page are one source.
  #source(q: PanelQuery): Source {
    const key = Source.key(q);
    let s = this.#sources.get(key);
    if (!s) this.#sources.set(key, (s = new Source(`s${this.#sources.size}`, q)));
    return s;
  }

  #run(board: Board): void {
    const { view, clock } = this.#app;
    const frames = new Frames(() => clock.now());
    for (const p of this.#panels) frames.add(p);
    const pillRoot = document.querySelector<HTMLElement>("#pill");
    if (pillRoot) {
      const pill = new Pill(this.#app, pillRoot);
      frames.add({ frame: () => pill.frame(this.#live.state) });
    }
    const sync = wireTime(this.#app);
    let subscribed = "";
    const retime = (): void => {
      if (subscribed !== view.range) {
        subscribed = view.range;
        for (const s of this.#sources.values()) s.subscribe(this.#live, clock, view.range, () => {});
      }
      for (const s of this.#sources.values()) s.follow(view, () => this.#force());
      sync();
      this.#force();
    };
    view.onchange = (what) => {
      if (what === "time") retime();
      else if (what === "panel") this.#arrange();
      else this.#force();
    };
    onTheme(() => this.#force(true));
    retime();
    this.#arrange();
    this.#live.start();
    frames.start();
    this.#keys(board);
  }

  #force(rebuild = false): void {
    for (const p of this.#panels) p.force(rebuild);
  }

  // #arrange shows one panel alone, or all.
  #arrange(): void {
    const alone = this.#panels.find((p) => p.panel.id === this.#app.view.expanded);
    this.classList.toggle("alone", alone !== undefined);
    for (const p of this.#panels) p.classList.toggle("expanded", p === alone);
    this.#force();
  }

  #shift(share: number): void {
    const { view, clock } = this.#app;
    const to = view.fixed?.to ?? clock.now();
    const by = view.span * share;
    if (to + by >= clock.now()) {
      view.resume();
      return;
    }
    view.fix({ from: to - view.span + by, to: to + by });
  }

  #zoom(direction: 1 | -1): void {
    const { view } = this.#app;
    if (view.fixed) {
      const mid = (view.fixed.from + view.fixed.to) / 2;
      const half = Math.min(43_200_000, Math.max(5000, (view.span / 2) * (direction > 0 ? 0.5 : 2)));
      view.fix({ from: mid - half, to: Math.min(mid + half, this.#app.clock.now()) });
      return;
    }
    const i = ranges.findIndex((r) => rangeMs(r) === view.span);
    const next = ranges[i - direction];
    if (next) view.setRange(next);
  }

  #focused(): PanelElement | null {
    const e = document.activeElement?.closest("fr-panel") ?? document.querySelector("fr-panel.expanded") ?? this.querySelector("fr-panel:hover");
    return e instanceof PanelElement ? e : null;
  }

  #keys(board: Board): void {
    const { view } = this.#app;
    const back = (): void => {
      const unpinned = this.#panels.map((p) => p.unpin()).some(Boolean);
      if (!unpinned && view.expanded) view.expand(null);
    };
    listen({
      "?": openHelp,
      "/": () => openSearch(this.#places(board)),
      t: () => document.querySelector<HTMLElement>('input[name="range"]:checked, input[name="range"]')?.focus(),
      " ": () => togglePause(this.#app),
      ArrowLeft: () => this.#shift(-0.5),
      ArrowRight: () => this.#shift(0.5),
      "+": () => this.#zoom(1),
      "=": () => this.#zoom(1),
      "-": () => this.#zoom(-1),
      "g h": () => location.assign("/"),
      d: () => this.#focused()?.showData(),
      f: () => this.#focused()?.toggleExpanded(),
      Escape: back,
    });
    document.querySelector('[data-action="help"]')?.addEventListener("click", openHelp);
    document.querySelector('[data-action="search"]')?.addEventListener("click", () => openSearch(this.#places(board)));
  }

  #places(board: Board): Place[] {
    const panels: Place[] = this.#panels.map((p) => ({
      title: p.panel.title,
      kind: this.dataset["list"] === undefined ? "panel" : board.title,
      go: () => {
        p.scrollIntoView({ block: "center" });
        p.focus();
      },
    }));
    return [...boards().map((b) => ({ title: b.title, kind: "board", go: () => location.assign(`/d/${b.id}`) })), ...panels];
  }
}

function boards(): Listed[] {
  const text = document.querySelector("#boards")?.textContent;
  return text ? (JSON.parse(text) as Listed[]) : [];
}
