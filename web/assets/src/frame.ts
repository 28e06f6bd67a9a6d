// The page's one animation loop: no part is drawn more than ten times a second, none
// in a hidden tab, and a frame of the browser is given only a few milliseconds of
// work, so that many panels are spread over several frames and the page stays smooth.

export interface Part {
  // frame draws if there is something new to see. now is the server's time.
  frame(now: number): void;
}

const interval = 100; // ms between two drawings of a part
const budget = 6; // ms of drawing in one frame of the browser

export class Frames {
  #parts: { part: Part; drawn: number }[] = [];
  #next = 0;
  #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(part: Part): void {
    this.#parts.push({ part, drawn: -Infinity });
  }

  start(): void {
    const loop = (t: number): void => {
      requestAnimationFrame(loop); // which a hidden tab does not call
      this.#turn(t);
    };
    requestAnimationFrame(loop);
  }

  // #turn draws the parts whose time has come, going on where the last turn stopped.
  #turn(t: number): void {
    const began = performance.now();
    const now = this.#now();
    for (let n = this.#parts.length; n > 0; n--) {
      this.#next = (this.#next + 1) % this.#parts.length;
      const p = this.#parts[this.#next]!;
      if (t - p.drawn < interval - 8) continue;
      p.drawn = t;
      p.part.frame(now);
      if (performance.now() - began > budget) return;
    }
  }
}
