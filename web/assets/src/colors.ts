// Colours of series. A label value has one colour on every panel: the colour is
// chosen by a hash of the value, and values of the same label that would share one
// are moved apart. Ten colours, apart under the three kinds of colour blindness, each
// with a shade for the light and one for the dark theme (test/colors.test.ts).

export const light = ["#5a6af0", "#ac3f01", "#0e7159", "#a25d9c", "#069ce0", "#533700", "#7721a6", "#dd7284", "#7e930d", "#3f4a67"];
export const dark = ["#678bef", "#dc8207", "#447f6b", "#b78bad", "#01c3fd", "#fdc842", "#8d55af", "#b84c0a", "#a0bc89", "#ccdae5"];

export const otherLight = "#8a919c"; // the folded rest of a top-N
export const otherDark = "#7d8694";

// hash is FNV-1a with a final mix. The start value is one that gives frequent label
// values (p50, in, out, web, 500) colours that look well beside each other.
export function hash(s: string): number {
  let h = 0x64e2dc9e;
  for (let i = 0; i < s.length; i++) {
    h ^= s.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  h ^= h >>> 13;
  return h >>> 0;
}

// A Registry hands out palette slots, one for each value of a label name.
export class Registry {
  #names = new Map<string, Map<string, number>>();

  // assign gives every value its slot. Values are taken in their own order, so that
  // the same set has the same colours whatever order it arrived in; a value keeps
  // the slot it was given.
  assign(name: string, values: string[]): void {
    let slots = this.#names.get(name);
    if (!slots) this.#names.set(name, (slots = new Map()));
    const used = new Array<number>(light.length).fill(0);
    for (const slot of slots.values()) used[slot]!++;
    for (const value of [...values].sort()) {
      if (slots.has(value)) continue;
      const h = hash(value);
      const least = Math.min(...used);
      let slot = h % light.length;
      for (let i = 0; used[slot]! > least && i < light.length; i++) slot = (slot + 1 + ((h >>> 8) % 3)) % light.length;
      while (used[slot]! > least) slot = (slot + 1) % light.length;
      slots.set(value, slot);
      used[slot]!++;
    }
  }

  // slot is the palette slot of a value.
  slot(name: string, value: string): number {
    const known = this.#names.get(name)?.get(value);
    if (known !== undefined) return known;
    this.assign(name, [value]);
    return this.#names.get(name)!.get(value)!;
  }
}

export function color(slot: number, isDark: boolean): string {
  return (isDark ? dark : light)[slot % light.length]!;
}

// withAlpha returns a hex colour with an alpha of 0 to 1.
export function withAlpha(hex: string, alpha: number): string {
  return hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
}
