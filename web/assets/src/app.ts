// What the parts of a page share.
import type { Clock } from "./clock.ts";
import { Registry } from "./colors.ts";
import type { Span, View } from "./view.ts";

// The crosshair is one instant, shown on every panel.
export class Crosshair {
  time: number | null = null;
  owner: object | null = null;
  #listeners = new Set<() => void>();

  on(f: () => void): void {
    this.#listeners.add(f);
  }

  set(time: number | null, owner: object | null): void {
    if (time === this.time && owner === this.owner) return;
    this.time = time;
    this.owner = owner;
    for (const f of this.#listeners) f();
  }
}

export interface App {
  view: View;
  clock: Clock;
  colors: Registry;
  crosshair: Crosshair;
}

export function spanAt(app: App, now: number): Span {
  return app.view.fixed ?? { from: now - app.view.span, to: now };
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// glided reports whether the time axis has moved far enough to be drawn again: by a
// pixel, or by a second where the viewer asked for less motion.
export function glided(byMs: number, span: Span, width: number): boolean {
  if (calm.matches && Math.abs(byMs) < 1000) return false;
  return (Math.abs(byMs) / (span.to - span.from)) * width * devicePixelRatio >= 1;
}
