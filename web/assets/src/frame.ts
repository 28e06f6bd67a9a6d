// The page's one animation loop: at most ten drawings a second, none in a hidden tab,
// and only of parts that say they have something new.

export interface Part {
  // frame draws if there is something new to see. It is told the server's time and
  // whether anything was forced (theme, size).
  frame(now: number): void;
}

const interval = 100;

export class Frames {
  #parts = new Set<Part>();
  #last = 0;
  #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(p: Part): void {
    this.#parts.add(p);
  }

  start(): void {
    const loop = (t: number): void => {
      requestAnimationFrame(loop); // which a hidden tab does not call
      if (t - this.#last < interval - 8) return;
      this.#last = t;
      const now = this.#now();
      for (const p of this.#parts) p.frame(now);
    };
    requestAnimationFrame(loop);
  }
}
