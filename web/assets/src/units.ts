// Numbers as people read them: three significant digits, SI or IEC prefixes,
// durations and percentages.

const nbsp = "\u00a0";
const si: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const iec: [number, string][] = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];

export interface Parts {
  number: string;
  unit: string; // what stands after the number, may be empty
}

// Units that stand for something a second and are shown a minute.
function perMinute(unit: string): boolean {
  return unit === "/min" || unit === "EUR/min";
}

// shown is the value in the unit that it is shown in: a rate a second times 60 for
// a unit a minute. Axes, thresholds and limits are in this.
export function shown(v: number, unit: string): number {
  return perMinute(unit) ? v * 60 : v;
}

// three writes v with three significant digits and no more than it needs.
export function three(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a < 0.001) return trim(v.toPrecision(2));
  const digits = a >= 100 ? 0 : a >= 10 ? 1 : 2;
  const s = v.toFixed(a < 1 ? 3 : digits);
  return trim(s);
}

function trim(s: string): string {
  if (!s.includes(".") || s.includes("e")) return s;
  return s.replace(/\.?0+$/, "").replace(/^-0$/, "0");
}

function scaled(v: number, table: [number, string][]): [number, string] {
  const a = Math.abs(v);
  for (const [size, prefix] of table) {
    // 999.6 would round to 1000, which is 1k.
    if (a >= size * 0.9995) return [v / size, prefix];
  }
  return [v, ""];
}

// parts writes a value that is already in its shown unit.
export function parts(v: number | null | undefined, unit: string): Parts {
  if (v === null || v === undefined || !Number.isFinite(v)) return { number: "–", unit: "" };
  switch (unit) {
    case "percent":
      return { number: Math.abs(v) >= 99.95 ? v.toFixed(0) : v.toFixed(1), unit: "%" };
    case "bytes":
    case "bytes/s": {
      const [n, prefix] = scaled(v, iec);
      return { number: three(n), unit: (prefix || "B") + (unit === "bytes/s" ? "/s" : "") };
    }
    case "bits/s": {
      const [n, prefix] = scaled(v, si);
      return { number: three(n), unit: `${prefix}bit/s` };
    }
    case "ms":
      return duration(v);
    case "s":
      return duration(v * 1000);
    case "EUR":
    case "EUR/s":
    case "EUR/min": {
      const [n, prefix] = scaled(v, si);
      return { number: "€" + (prefix ? three(n) + prefix : n !== 0 && Math.abs(n) < 100 ? n.toFixed(2) : three(n)), unit: unit.slice(3) };
    }
    default: {
      const [n, prefix] = scaled(v, si);
      return { number: three(n) + prefix, unit };
    }
  }
}

// text is parts as one string: `1.2k`, `340 ms`, `12.4 GiB`, `3 min 12 s`.
export function text(v: number | null | undefined, unit: string): string {
  const p = parts(v, unit);
  if (!p.unit) return p.number;
  return p.unit === "%" || p.unit.startsWith("/") ? p.number + p.unit : p.number + nbsp + p.unit;
}

// duration writes milliseconds as people say them.
export function duration(ms: number): Parts {
  const a = Math.abs(ms);
  if (a === 0) return { number: "0", unit: "ms" };
  if (a < 0.9995) return { number: three(ms * 1000), unit: "µs" };
  if (a < 999.5) return { number: three(ms), unit: "ms" };
  if (a < 59_950) return { number: three(ms / 1000), unit: "s" };
  const sign = ms < 0 ? "-" : "";
  const s = Math.round(a / 1000);
  if (s < 3600) return pair(sign, Math.floor(s / 60), "min", s % 60, "s");
  const min = Math.round(s / 60);
  if (min < 1440) return pair(sign, Math.floor(min / 60), "h", min % 60, "min");
  const h = Math.round(s / 3600);
  return pair(sign, Math.floor(h / 24), "d", h % 24, "h");
}

function pair(sign: string, a: number, unitA: string, b: number, unitB: string): Parts {
  if (b === 0) return { number: `${sign}${a}`, unit: unitA };
  return { number: `${sign}${a}${nbsp}${unitA}${nbsp}${b}${nbsp}${unitB}`, unit: "" };
}

export function durationText(ms: number): string {
  const p = duration(ms);
  return p.unit ? `${p.number}${nbsp}${p.unit}` : p.number;
}

// An axis has at most five ticks.
const mostTicks = 5;

// tickStep is the distance of the ticks of an axis over [min, max] in the shown unit.
function tickStep(min: number, max: number, unit: string): number {
  let step = niceStep((max - min) / (mostTicks - 0.1), unit);
  const count = (): number => Math.floor(max / step + 1e-9) - Math.ceil(min / step - 1e-9) + 1;
  for (let i = 0; i < 4 && count() > mostTicks; i++) step = niceStep(step * 1.01, unit);
  for (let i = 0; i < 4 && count() < 2; i++) step /= 2;
  return step;
}

// limits widens [min, max] to a quarter of a tick, so that the axis stands still while
// values move a little.
export function limits(min: number, max: number, unit: string): [number, number] {
  const quarter = tickStep(min, max, unit) / 4;
  return [round(Math.floor(min / quarter + 1e-9) * quarter), round(Math.ceil(max / quarter - 1e-9) * quarter)];
}

// ticks returns at most five round values in [min, max], smallest first.
export function ticks(min: number, max: number, unit: string): number[] {
  const step = tickStep(min, max, unit);
  const out: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9 && out.length < mostTicks; i++) out.push(round(i * step));
  return out;
}

function round(v: number): number {
  return Number(v.toPrecision(12));
}

function niceStep(raw: number, unit: string): number {
  if (raw > 1 && (unit === "bytes" || unit === "bytes/s")) {
    const power = 1024 ** Math.max(0, Math.floor(Math.log(raw) / Math.log(1024)));
    for (const m of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) if (m * power >= raw) return m * power;
    return 1024 * power;
  }
  if (unit === "s" || unit === "ms") {
    const second = unit === "s" ? 1 : 1000;
    for (const m of [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400]) {
      if (raw > 10 * second && m * second >= raw) return m * second;
    }
  }
  const power = 10 ** Math.floor(Math.log10(raw));
  for (const m of [1, 2, 2.5, 5]) if (m * power >= raw * 0.999999) return m * power;
  return 10 * power;
}

// axisText is text for a tick: no more digits than the round value needs.
export function axisText(v: number, unit: string): string {
  switch (unit) {
    case "percent":
      return three(v) + "%";
    case "EUR":
    case "EUR/s":
    case "EUR/min": {
      const [n, prefix] = scaled(v, si);
      return "€" + three(n) + prefix;
    }
    case "/s":
    case "/min":
      return text(v, "");
    case "bytes/s":
    case "bits/s":
    default:
      return v === 0 ? "0" : text(v, unit);
  }
}

// suffix is what a panel's title says of a unit that its axis leaves out.
export function suffix(unit: string): string {
  switch (unit) {
    case "/s":
    case "EUR/s":
      return "per second";
    case "/min":
    case "EUR/min":
      return "per minute";
    default:
      return "";
  }
}

// bare is text without what the panel's title says already.
export function bare(v: number | null | undefined, unit: string): string {
  const p = parts(v, unit);
  return suffix(unit) ? p.number : text(v, unit);
}
