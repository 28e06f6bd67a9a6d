import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "../src/colors.ts";
import { held, picture, reduce, seriesName, stack } from "../src/lines.ts";
import { Source } from "../src/source.ts";
import { Table } from "../src/store.ts";
import type { Panel } from "../src/types.ts";

test("a step that is still filling is no dip", () => {
  const times = [0, 1000, 2000, 3000];
  // At 3.4 s the last two steps may still be filling.
  assert.deepEqual(held(times, [5, 6, 4, 1], 1000, 3400), [5, 6, 6, 6]);
  assert.deepEqual(held(times, [5, 6, 9, 1], 1000, 3400), [5, 6, 9, 9]);
  assert.deepEqual(held(times, [5, 6, 4, null], 1000, 3400), [5, 6, 6, 6]);
  // Long after they are what they are.
  assert.deepEqual(held(times, [5, 6, 4, 1], 1000, 60_000), [5, 6, 4, 1]);
  // A gap stays one.
  assert.deepEqual(held(times, [5, null, null, 1], 1000, 4400), [5, null, null, 1]);
});

test("lines are stacked from the last to the first", () => {
  assert.deepEqual(stack([[1, 1, null], [2, null, null], [3, 3, null]]), [[6, 4, null], [5, 3, null], [3, 3, null]]);
  assert.deepEqual(stack([[1], [null]]), [[1], [0]]);
});

test("names of series", () => {
  const c = { labels: { country: "DE", channel: "web" }, other: false };
  const q = { query: { metric: "m", agg: "avg", by: ["country", "channel"] } };
  assert.equal(seriesName(q, c, "T"), "DE · web");
  assert.equal(seriesName({ ...q, label: "{{country}} by {{channel}}" }, c, "T"), "DE by web");
  assert.equal(seriesName({ ...q, label: "p95" }, c, "T"), "p95 · DE · web");
  assert.equal(seriesName({ label: "p95", query: { metric: "m", agg: "p95" } }, { labels: {}, other: false }, "T"), "p95");
  assert.equal(seriesName({ query: { metric: "m", agg: "p95" } }, { labels: {}, other: false }, "T"), "T");
  assert.equal(seriesName(q, { labels: {}, other: true }, "T"), "other");
});

test("one number of a range", () => {
  const t = new Table();
  t.replace({ times: [0, 1000, 2000], series: [{ labels: {}, values: [1, 5, 2] }], provisional_from: 2000 });
  const v = t.columns[0]!.values;
  assert.equal(reduce(t, v, "last", "avg", 0, 3000), 2);
  assert.equal(reduce(t, v, "last", "rate", 0, 3000), 5); // an open step counts too little
  assert.equal(reduce(t, v, "sum", "increase", 0, 3000), 8);
  assert.equal(reduce(t, v, "sum", "increase", 500, 3000), 7);
  assert.equal(reduce(t, v, "max", "avg", 0, 3000), 5);
  assert.equal(reduce(t, v, "mean", "avg", 0, 1000), 3);
  assert.equal(reduce(t, [null, null, null], "mean", "avg", 0, 3000), null);
  assert.equal(reduce(t, [null, null, 7], "last", "rate", 0, 3000), 7); // better than nothing
});

test("queries with other steps come onto one axis", () => {
  const panel: Panel = { id: "p", title: "P", kind: "timeseries", w: 6, h: 7, queries: [
    { label: "a", query: { metric: "a", agg: "avg" } },
    { label: "b", query: { metric: "b", agg: "avg" } },
  ] };
  const sources = panel.queries.map((q, i) => new Source(`s${i}`, q));
  sources[0]!.live.replace({ step_ms: 1000, times: [0, 1000, 2000], series: [{ labels: {}, values: [1, 2, 3] }], provisional_from: 2000 });
  sources[1]!.live.replace({ step_ms: 2000, times: [0, 2000], series: [{ labels: {}, values: [7, 8] }], provisional_from: 2000 });
  const p = picture(panel, sources, new Registry(), undefined, 60_000);
  assert.deepEqual(p.times, [0, 1000, 2000]);
  assert.deepEqual(p.values, [[1, 2, 3], [7, null, 8]]);
  assert.equal(p.final, 2);
  assert.notEqual(p.lines[0]!.slot, p.lines[1]!.slot);
  assert.deepEqual(picture(panel, sources, new Registry(), new Set(["b"]), 60_000).lines.map((l) => l.name), ["b"]);
});
