// Times in the viewer's zone, with the zone shown.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const zone =
  new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(0).find((p) => p.type === "timeZoneName")?.value ?? "";

export function clockText(t: number): string {
  return clock.format(t);
}

export function dayText(t: number): string {
  return day.format(t);
}

export function exact(t: number): string {
  return `${day.format(t)} ${clock.format(t)} ${zone}`;
}

export function spanText(from: number, to: number): string {
  const fine = to - from < 10 * 60_000 ? clock : short;
  const sameDay = day.format(from) === day.format(to);
  return `${day.format(from)}, ${fine.format(from)} – ${sameDay ? "" : day.format(to) + ", "}${fine.format(to)} ${zone}`;
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1000);

// timeTicks returns round local times in [from, to], at most count of them.
export function timeTicks(from: number, to: number, count: number): number[] {
  const step = steps.find((s) => (to - from) / s <= count) ?? 86_400_000;
  const shift = new Date(from).getTimezoneOffset() * 60_000;
  const out: number[] = [];
  for (let t = Math.ceil((from - shift) / step) * step + shift; t <= to; t += step) out.push(t);
  return out;
}

// timeLabels says what changes from tick to tick: the day where a day begins, else
// the time, with seconds only where ticks are closer than a minute.
export function timeLabels(ticks: number[]): string[] {
  const seconds = ticks.length > 1 && ticks[1]! - ticks[0]! < 60_000;
  return ticks.map((t) => {
    const d = new Date(t);
    if (d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0) return day.format(t);
    return (seconds ? clock : short).format(t);
  });
}
