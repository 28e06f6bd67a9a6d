import assert from "node:assert/strict";
import { test } from "node:test";
import { dark, light, Registry } from "../src/colors.ts";

type RGB = [number, number, number];

const linear = (hex: string): RGB => [1, 3, 5].map((i) => {
  const c = parseInt(hex.slice(i, i + 2), 16) / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}) as RGB;

const times = (m: number[][], v: RGB): RGB => m.map((r) => Math.min(1, Math.max(0, r[0]! * v[0] + r[1]! * v[1] + r[2]! * v[2]))) as RGB;

// OKLab, Björn Ottosson 2020.
function lab([r, g, b]: RGB): RGB {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

// Machado, Oliveira and Fernandes 2009, severity 1.
const sight: Record<string, number[][]> = {
  full: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

const luminance = (v: RGB): number => 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];

for (const [name, palette, surface] of [["light", light, "#ffffff"], ["dark", dark, "#12161d"]] as const) {
  test(`the ${name} palette stays apart for every kind of sight`, () => {
    assert.equal(palette.length, 10);
    for (const [kind, matrix] of Object.entries(sight)) {
      const seen = palette.map((c) => lab(times(matrix, linear(c))));
      for (let i = 0; i < seen.length; i++) {
        for (let j = 0; j < i; j++) {
          const d = Math.hypot(seen[i]![0] - seen[j]![0], seen[i]![1] - seen[j]![1], seen[i]![2] - seen[j]![2]);
          assert.ok(d > 0.09, `${kind}: ${palette[i]} and ${palette[j]} are ${d.toFixed(3)} apart`);
        }
      }
    }
  });

  test(`the ${name} palette is seen on its surface`, () => {
    const ground = luminance(linear(surface)) + 0.05;
    for (const c of palette) {
      const own = luminance(linear(c)) + 0.05;
      const contrast = Math.max(own, ground) / Math.min(own, ground);
      assert.ok(contrast >= 3, `${c} has a contrast of ${contrast.toFixed(2)}`);
    }
  });
}

test("ten values of a label have ten colours, whatever their order", () => {
  const values = Array.from({ length: 10 }, (_, i) => `value-${i}`);
  const a = new Registry();
  a.assign("route", values);
  const b = new Registry();
  b.assign("route", [...values].reverse());
  const slots = values.map((v) => a.slot("route", v));
  assert.equal(new Set(slots).size, 10);
  assert.deepEqual(values.map((v) => b.slot("route", v)), slots);
});

test("a value keeps its colour when others come", () => {
  const r = new Registry();
  const before = r.slot("country", "DE");
  r.assign("country", ["AT", "CH", "DE", "FR", "NL", "PL", "ES", "IT", "SE", "DK", "NO"]);
  assert.equal(r.slot("country", "DE"), before);
});
