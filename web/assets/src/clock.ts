// The server's time, as far as the viewer's machine knows it, and the measured lag.

const samples = 40;

export class Clock {
  #offsets: number[] = []; // server time less local time, at receipt
  #offset: number;
  #lags: number[] = []; // server_now less watermark, of the latest updates
  watermark = 0; // the newest that an update has named
  skipped = 0; // updates that this page was too slow for

  // rendered is the server's time when it wrote the page, 0 if not known.
  constructor(rendered: number) {
    this.#offset = rendered > 0 && Math.abs(rendered - Date.now()) > 5000 ? rendered - Date.now() : 0;
  }

  // heard takes what an update says of time.
  heard(serverNow: number | undefined, watermark: number | undefined): void {
    if (serverNow) {
      push(this.#offsets, serverNow - Date.now(), samples);
      // A message can only be late, so the greatest offset is the truest.
      this.#offset = Math.max(...this.#offsets);
    }
    if (watermark) {
      if (serverNow) push(this.#lags, Math.max(0, serverNow - watermark), 8);
      this.watermark = Math.max(this.watermark, watermark);
    }
  }

  now(): number {
    return Date.now() + this.#offset;
  }

  // lag is how far what is shown is behind the server's time, in ms; null before
  // the first update. It grows while nothing comes.
  lag(): number | null {
    if (this.watermark === 0) return null;
    const since = this.now() - this.watermark;
    if (this.#lags.length === 0) return Math.max(0, since);
    const measured = this.#lags.reduce((a, b) => a + b, 0) / this.#lags.length;
    return since > measured + 3000 ? since : measured;
  }
}

function push(a: number[], v: number, max: number): void {
  a.push(v);
  if (a.length > max) a.shift();
}
