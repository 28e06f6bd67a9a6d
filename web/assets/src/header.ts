// The controls in the header: the pill that says how live the page is, pause, range,
// theme.
import type { App } from "./app.ts";
import { setAttr, setText } from "./dom.ts";
import type { State } from "./live.ts";
import { toggleTheme } from "./theme.ts";
import { clockText, exact, spanText, zone } from "./time.ts";
import { durationText } from "./units.ts";
import { rangeWords } from "./view.ts";

export function wireTheme(): void {
  document.querySelector('[data-action="theme"]')?.addEventListener("click", toggleTheme);
}

// A Pill is written at most five times a second, and its lag in steps of a tenth.
export class Pill {
  #app: App;
  #root: HTMLElement;
  #words: HTMLElement;
  #spoken: HTMLElement;
  #last = 0;
  #state = "";

  constructor(app: App, root: HTMLElement) {
    this.#app = app;
    this.#root = root;
    this.#words = root.querySelector(".words")!;
    this.#spoken = document.querySelector("#announce")!;
    root.addEventListener("click", () => (app.view.fixed ? app.view.resume() : undefined));
  }

  frame(state: State): void {
    const t = performance.now();
    if (t - this.#last < 200) return;
    this.#last = t;
    const { view, clock } = this.#app;
    let kind: string = state;
    let words: string;
    if (state === "signed-out") words = "signed out · reload to sign in";
    else if (state === "reconnecting") words = clock.watermark > 0 ? `reconnecting · caught up to ${clockText(clock.watermark)}` : "reconnecting";
    else if (view.fixed) {
      kind = "paused";
      const behind = Math.max(0, clock.now() - view.fixed.to);
      words = `paused · ${durationText(Math.floor(behind / 1000) * 1000)} behind, resume (space)`;
      if (behind < 1000) words = "paused · resume (space)";
    } else if (state === "connecting") words = "connecting";
    else {
      const lag = clock.lag();
      words = lag === null ? "live" : lag < 60_000 ? `live · ${(lag / 1000).toFixed(1)}\u00a0s behind` : `live · ${durationText(Math.round(lag / 1000) * 1000)} behind`;
      if (lag !== null && lag > 15_000) kind = "late";
    }
    setText(this.#words, words);
    setAttr(this.#root, "data-state", kind);
    const skipped = clock.skipped > 0 ? `. This page was too slow for ${clock.skipped} updates and was sent the latest state instead` : "";
    setAttr(this.#root, "title", clock.watermark > 0 ? `Everything up to ${exact(clock.watermark)} is here${skipped}` : "Nothing has arrived yet");
    if (kind !== this.#state) {
      this.#state = kind;
      setText(this.#spoken, kind === "late" ? "live, but late" : kind);
    }
  }
}

// wireTime connects the range picker and the pause button to the view.
export function wireTime(app: App): () => void {
  const radios = [...document.querySelectorAll<HTMLInputElement>('input[name="range"]')];
  for (const r of radios) r.addEventListener("click", () => app.view.setRange(r.value));
  const pause = document.querySelector<HTMLButtonElement>('[data-action="pause"]');
  pause?.addEventListener("click", () => togglePause(app));
  const said = document.querySelector<HTMLElement>("#span");
  return () => {
    const { view } = app;
    for (const r of radios) r.checked = !view.fixed && r.value === view.range;
    if (pause) {
      setAttr(pause, "aria-pressed", view.fixed ? "true" : "false");
      setAttr(pause, "aria-label", view.fixed ? "Resume" : "Pause");
      setAttr(pause, "title", view.fixed ? "Resume (space)" : "Pause (space)");
    }
    if (said) setText(said, view.fixed ? spanText(view.fixed.from, view.fixed.to) : `last ${rangeWords(view.range)} · ${zone}`);
  };
}

export function togglePause(app: App): void {
  const { view, clock } = app;
  if (view.fixed) view.resume();
  else {
    const to = clock.now();
    view.fix({ from: to - view.span, to });
  }
}
