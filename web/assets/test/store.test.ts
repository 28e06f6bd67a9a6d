import assert from "node:assert/strict";
import { test } from "node:test";
import { maxRows, Table } from "../src/store.ts";
import type { WireAnswer } from "../src/types.ts";

// A small generator, so that a failure can be repeated.
function random(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

type Truth = Map<number, Map<string, number>>;

function answer(truth: Truth, times: number[], names: string[]): WireAnswer {
  return {
    step_ms: 1000,
    times,
    series: names.map((n) => ({ labels: { name: n }, values: times.map((t) => truth.get(t)?.get(n) ?? null) })),
    provisional_from: 5000,
    watermark: 4000,
  };
}

function content(t: Table): Record<string, Record<number, number>> {
  const out: Record<string, Record<number, number>> = {};
  for (const c of t.columns) {
    const rows: Record<number, number> = {};
    assert.equal(c.values.length, t.times.length);
    c.values.forEach((v, i) => {
      if (v !== null) rows[t.times[i]!] = v;
    });
    if (Object.keys(rows).length > 0) out[c.labels["name"]!] = rows;
  }
  return out;
}

test("a snapshot and its updates equal a fresh answer", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rnd = random(seed);
    const names = ["a", "b", "c", "d"];
    const truth: Truth = new Map();
    const put = (t: number, n: string, v: number): void => {
      if (!truth.has(t)) truth.set(t, new Map());
      truth.get(t)!.set(n, v);
    };
    let end = 1000 * (1 + Math.floor(rnd() * 20));
    for (let t = 0; t < end; t += 1000) for (const n of names.slice(0, 2)) if (rnd() < 0.8) put(t, n, rnd());
    const table = new Table();
    table.replace(answer(truth, [...truth.keys()].sort((a, b) => a - b), names.slice(0, 2)));
    for (let round = 0; round < 30; round++) {
      const changed = new Set<number>();
      const touched = new Set<string>();
      for (let k = 0; k < 1 + rnd() * 4; k++) {
        // New steps at the end, late points in the middle, series that are new.
        const t = rnd() < 0.5 ? end + 1000 * Math.floor(rnd() * 2) : 1000 * Math.floor((rnd() * end) / 1000);
        end = Math.max(end, t + 1000);
        const n = names[Math.floor(rnd() * names.length)]!;
        put(t, n, rnd());
        changed.add(t);
        touched.add(n);
      }
      table.merge(answer(truth, [...changed].sort((a, b) => a - b), [...touched]));
    }
    const fresh = new Table();
    fresh.replace(answer(truth, [...truth.keys()].sort((a, b) => a - b), names));
    assert.deepEqual(content(table), content(fresh), `seed ${seed}`);
    assert.ok(table.times.every((t, i) => i === 0 || table.times[i - 1]! < t));
  }
});

test("null in an update takes a value away", () => {
  const t = new Table();
  t.replace({ times: [1000, 2000], series: [{ labels: {}, values: [1, 2] }] });
  t.merge({ times: [2000], series: [{ labels: {}, values: [null] }] });
  assert.deepEqual(t.columns[0]!.values, [1, null]);
});

test("the folded rest is a series of its own", () => {
  const t = new Table();
  t.replace({ times: [1], series: [{ labels: {}, values: [1] }, { labels: {}, other: true, values: [2] }] });
  assert.equal(t.columns.length, 2);
});

test("trim keeps one row before the range", () => {
  const t = new Table();
  const times = Array.from({ length: 100 }, (_, i) => i * 1000);
  t.replace({ times, series: [{ labels: {}, values: times }] });
  t.trim(50_500);
  assert.equal(t.times[0], 50_000);
  assert.equal(t.columns[0]!.values[0], 50_000);
});

test("a table is bounded", () => {
  const t = new Table();
  const times = Array.from({ length: maxRows }, (_, i) => i);
  t.replace({ times, series: [{ labels: {}, values: times }] });
  t.merge({ times: [maxRows, maxRows + 1], series: [{ labels: {}, values: [1, 2] }] });
  assert.equal(t.times.length, maxRows);
  assert.equal(t.times[0], 2);
});

test("a copy is left alone by updates", () => {
  const t = new Table();
  t.replace({ times: [1], series: [{ labels: {}, values: [1] }] });
  const still = t.copy();
  t.merge({ times: [1, 2], series: [{ labels: {}, values: [5, 6] }] });
  assert.deepEqual(still.columns[0]!.values, [1]);
});

test("an answer with nothing in it is empty", () => {
  const t = new Table();
  t.replace({ times: null, series: null });
  t.merge({ times: null, series: null, watermark: 5 });
  assert.ok(t.empty);
  assert.equal(t.watermark, 5);
});

test("steps without events are zero up to the watermark", () => {
  const t = new Table();
  t.replace({ step_ms: 1000, times: [0, 1000, 2000, 3000], series: [{ labels: { c: "a" }, values: [null, 1, null, null] }], provisional_from: 3000, watermark: 3000 });
  t.zeroFill();
  assert.deepEqual(t.columns[0]!.values, [null, 1, 0, null]);
  t.merge({ times: [], series: [], provisional_from: 6000, watermark: 6500 });
  t.zeroFill();
  assert.deepEqual(t.times, [0, 1000, 2000, 3000, 4000, 5000]);
  assert.deepEqual(t.columns[0]!.values, [null, 1, 0, 0, 0, 0]);
  t.merge({ times: [4000], series: [{ labels: { c: "b" }, values: [7] }], provisional_from: 6000, watermark: 6500 });
  t.zeroFill();
  assert.deepEqual(t.columns[1]!.values, [null, 0, 0, 0, 7, 0]);
});
