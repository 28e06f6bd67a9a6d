import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Live } from "../src/live.ts";
import { Table } from "../src/store.ts";

// A socket that the test plays the server of.
class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: { op: string; id: string }[] = [];
  onopen: () => void = () => {};
  onclose: () => void = () => {};
  onmessage: (e: { data: string }) => void = () => {};
  constructor() {
    FakeSocket.all.push(this);
  }
  send(s: string): void {
    this.sent.push(JSON.parse(s));
  }
  close(): void {
    this.drop();
  }
  open(): void {
    this.readyState = 1;
    this.onopen();
  }
  drop(): void {
    this.readyState = 3;
    this.onclose();
  }
  say(m: object): void {
    this.onmessage({ data: JSON.stringify(m) });
  }
  get subscribed(): string {
    return this.sent.filter((m) => m.op === "subscribe").at(-1)!.id;
  }
}

const last = (): FakeSocket => FakeSocket.all.at(-1)!;

beforeEach(() => {
  FakeSocket.all = [];
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  Object.assign(globalThis, { WebSocket: FakeSocket, addEventListener: () => {}, document: { addEventListener: () => {}, visibilityState: "visible" } });
});
afterEach(() => mock.timers.reset());

function start(): { live: Live; table: Table; errors: string[] } {
  const live = new Live("ws://test");
  const table = new Table();
  const errors: string[] = [];
  live.subscribe("a", { metric: "m", agg: "avg" }, { snapshot: (m) => table.replace(m), update: (m) => table.merge(m), refused: (e) => errors.push(e) });
  live.start();
  last().open();
  return { live, table, errors };
}

const series = (...values: number[]): object[] => [{ labels: {}, values }];

test("a snapshot and updates in order", () => {
  const { live, table } = start();
  const id = last().subscribed;
  last().say({ op: "snapshot", id, seq: 1, times: [1], series: series(1) });
  last().say({ op: "update", id, seq: 2, times: [2], series: series(2) });
  assert.deepEqual(table.times, [1, 2]);
  assert.equal(live.state, "live");
});

test("a gap in seq asks for a fresh snapshot and takes nothing before it", () => {
  const { table } = start();
  const id = last().subscribed;
  last().say({ op: "snapshot", id, seq: 1, times: [1], series: series(1) });
  last().say({ op: "update", id, seq: 3, times: [3], series: series(3) });
  const again = last().subscribed;
  assert.notEqual(again, id);
  last().say({ op: "update", id, seq: 4, times: [4], series: series(4) });
  last().say({ op: "snapshot", id: again, seq: 9, times: [1, 2, 3, 4], series: series(1, 2, 3, 4) });
  assert.deepEqual(table.times, [1, 2, 3, 4]);
});

test("a snapshot may come at any time, and the count goes on from it", () => {
  const { table } = start();
  const id = last().subscribed;
  last().say({ op: "snapshot", id, seq: 1, times: [1], series: series(1) });
  last().say({ op: "snapshot", id, seq: 7, times: [1, 2], series: series(1, 2), skipped: 5 });
  last().say({ op: "update", id, seq: 8, times: [3], series: series(3) });
  assert.deepEqual(table.times, [1, 2, 3]);
});

test("after a lost connection it subscribes again and has no hole", () => {
  const { live, table } = start();
  last().say({ op: "snapshot", id: last().subscribed, seq: 1, times: [1], series: series(1) });
  last().drop();
  assert.equal(live.state, "reconnecting");
  assert.deepEqual(table.times, [1]); // the last picture stays
  mock.timers.tick(500);
  assert.equal(FakeSocket.all.length, 2);
  last().open();
  last().say({ op: "snapshot", id: last().subscribed, seq: 4, times: [1, 2, 3], series: series(1, 2, 3) });
  assert.equal(live.state, "live");
  assert.deepEqual(table.times, [1, 2, 3]);
});

test("the wait between attempts grows and is bounded", () => {
  const { live } = start();
  globalThis.fetch = () => Promise.reject(new Error("no network"));
  for (let i = 0; i < 12; i++) {
    last().drop();
    const n = FakeSocket.all.length;
    mock.timers.tick(100);
    assert.equal(FakeSocket.all.length, n, "not at once");
    mock.timers.tick(15_000);
    assert.equal(FakeSocket.all.length, n + 1);
  }
  assert.equal(live.state, "reconnecting");
});

test("a connection that is silent for long is asked, and replaced if it does not answer", () => {
  start();
  const id = last().subscribed;
  last().say({ op: "snapshot", id, seq: 1, times: [], series: [] });
  mock.timers.tick(16_000);
  assert.notEqual(last().subscribed, id);
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(6_000); // given up
  mock.timers.tick(1_000); // tried again
  assert.equal(FakeSocket.all.length, 2);
});

test("an error is told", () => {
  const { errors } = start();
  last().say({ op: "error", id: last().subscribed, error: "metric is required" });
  assert.deepEqual(errors, ["metric is required"]);
});

test("after unsubscribe nothing is taken", () => {
  const { live, table } = start();
  const id = last().subscribed;
  live.unsubscribe("a");
  assert.equal(last().sent.at(-1)!.op, "unsubscribe");
  last().say({ op: "snapshot", id, seq: 1, times: [1], series: series(1) });
  assert.ok(table.empty);
});
