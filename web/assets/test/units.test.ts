import assert from "node:assert/strict";
import { test } from "node:test";
import { axisText, durationText, limits, shown, text, three, ticks } from "../src/units.ts";

const plain = (s: string): string => s.replaceAll("\u00a0", " ");

test("three significant digits", () => {
  const cases: [number, string][] = [[0, "0"], [1, "1"], [1.234, "1.23"], [12.34, "12.3"], [123.4, "123"], [0.1234, "0.123"], [0.00012, "0.00012"], [-4.5, "-4.5"], [99.96, "100"]];
  for (const [v, want] of cases) assert.equal(three(v), want);
});

test("values with their units", () => {
  const cases: [number | null, string, string][] = [
    [1234, "", "1.23k"], [999.7, "", "1k"], [12_400_000_000, "", "12.4G"],
    [12.4 * 2 ** 30, "bytes", "12.4 GiB"], [512, "bytes", "512 B"], [2048, "bytes/s", "2 KiB/s"],
    [1_500_000, "bits/s", "1.5 Mbit/s"],
    [99.94, "percent", "99.9%"], [100, "percent", "100%"], [0.04, "percent", "0.0%"],
    [340, "ms", "340 ms"], [2100, "ms", "2.1 s"], [192_000, "ms", "3 min 12 s"], [0.25, "ms", "250 µs"],
    [90_000, "s", "1 d 1 h"], [3600, "s", "1 h"], [59.96, "s", "1 min"],
    [12.5, "EUR", "€12.50"], [0, "EUR", "€0"], [4321, "EUR", "€4.32k"],
    [3.2, "/s", "3.2/s"], [null, "ms", "–"], [NaN, "", "–"],
  ];
  for (const [v, unit, want] of cases) assert.equal(plain(text(v, unit)), want, `${v} ${unit}`);
});

test("a rate is shown a minute where the unit says so", () => {
  assert.equal(plain(text(shown(0.5, "/min"), "/min")), "30/min");
  assert.equal(plain(text(shown(2, "EUR/min"), "EUR/min")), "€120/min");
  assert.equal(shown(2, "/s"), 2);
});

test("durations", () => {
  assert.equal(plain(durationText(42_000)), "42 s");
  assert.equal(plain(durationText(0)), "0 ms");
  assert.equal(plain(durationText(86_400_000 * 2 + 3_600_000 * 3)), "2 d 3 h");
});

test("an axis has two to five round ticks inside its limits", () => {
  for (const unit of ["", "bytes", "ms", "percent", "s"]) {
    for (let i = 0; i < 400; i++) {
      const min = i % 3 === 0 ? 0 : Math.abs(Math.sin(i)) * 10 ** (i % 7);
      const max = min + Math.abs(Math.cos(i * 7)) * 10 ** (i % 9) + 0.01;
      const [lo, hi] = limits(min, max, unit);
      const t = ticks(lo, hi, unit);
      assert.ok(lo <= min && hi >= max, `${unit} limits of ${min}..${max}: ${lo}..${hi}`);
      assert.ok(t.length >= 2 && t.length <= 5, `${unit} ${lo}..${hi}: ${t}`);
      assert.ok(t[0]! >= lo - 1e-9 && t[t.length - 1]! <= hi * (1 + 1e-9), `${t}`);
    }
  }
});

test("ticks are written short", () => {
  assert.equal(axisText(20, "percent"), "20%");
  assert.equal(axisText(0, "bytes/s"), "0");
  assert.equal(axisText(1500, "EUR/min"), "€1.5k");
  assert.equal(axisText(1500, "/min"), "1.5k");
});
