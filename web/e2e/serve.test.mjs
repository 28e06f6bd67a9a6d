// A page over the life of a real server, which the test starts, kills and starts again.
// FRESHET_BIN names the binary.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { drawn, launch } from "./browser.mjs";

const bin = process.env.FRESHET_BIN;
const skip = bin ? false : "FRESHET_BIN names no binary";

let browser;
let data;
let port;
let server;

const base = () => `http://127.0.0.1:${port}`;

function freePort() {
  return new Promise((ok) => {
    const s = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => ok(port));
    });
  });
}

async function start() {
  server = spawn(bin, ["serve", "--auth", "off", "--kinesis-listen", "", "--listen", `127.0.0.1:${port}`, "--data", data], { stdio: "ignore" });
  for (let i = 0; i < 200; i++) {
    if (await fetch(`${base()}/readyz`).then((r) => r.ok, () => false)) return;
    await new Promise((ok) => setTimeout(ok, 50));
  }
  throw new Error("the server did not become ready in 10 s");
}

function stop(signal) {
  return new Promise((ok) => {
    server.once("exit", ok);
    server.kill(signal);
  });
}

async function post(points) {
  const r = await fetch(`${base()}/api/v1/points`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(points) });
  if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
}

before(async () => {
  if (!bin) return;
  browser = await launch();
  data = mkdtempSync(path.join(tmpdir(), "freshet-e2e-"));
  port = await freePort();
  await start();
});

after(async () => {
  await browser?.close();
  if (server) await stop("SIGTERM");
  if (data) rmSync(data, { recursive: true, force: true });
});

test("a point is a number on the page within a second of its acknowledgement", { skip }, async (t) => {
  const page = await browser.newPage();
  await page.goto(`${base()}/d/host?range=1m`);
  await page.waitForFunction(() => document.querySelector("#pill").dataset.state === "live");
  const number = 'fr-panel[data-panel="processes-now"] [data-value]';
  const took = [];
  for (const value of [4242, 4243, 4244, 4245, 4246]) {
    await post({ metric: "host.processes", value });
    const began = performance.now(); // the disk's own time to make the point durable is not the page's
    await page.waitForFunction(([at, want]) => document.querySelector(at)?.dataset.value === want, [number, String(value)], { timeout: 5000, polling: "raf" });
    took.push(performance.now() - began);
  }
  t.diagnostic(`from acknowledgement to page: ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.ok(Math.max(...took) < 1000, `the slowest took ${Math.max(...took).toFixed(0)} ms`);
  await page.close();
});

test("a board goes on over kill -9 and a restart, with no hole and nothing double", { skip }, async () => {
  const page = await browser.newPage();
  const sent = new Map(); // by second: the values that were acknowledged
  let n = 0;
  const timer = setInterval(async () => {
    const ts = Date.now();
    const value = ++n;
    try {
      await post({ metric: "host.load1", ts, value });
      const second = Math.floor(ts / 1000) * 1000;
      sent.set(second, [...(sent.get(second) ?? []), value]);
    } catch {
      // Not acknowledged while the server is away.
    }
  }, 100);
  try {
    await page.goto(`${base()}/d/host?range=1m`);
    await drawn(page, "load", 3);
    await stop("SIGKILL");
    await page.waitForFunction(() => document.querySelector("#pill").dataset.state === "reconnecting", null, { timeout: 5000 });
    assert.match(await page.locator("#pill .words").textContent(), /caught up to \d\d:\d\d:\d\d/);
    await start();
    await page.waitForFunction(() => document.querySelector("#pill").dataset.state === "live", null, { timeout: 15_000 });
    await new Promise((ok) => setTimeout(ok, 3000));
  } finally {
    clearInterval(timer);
  }
  await new Promise((ok) => setTimeout(ok, 1500));
  const d = await drawn(page, "load", 3);
  const line = d.values[d.names.indexOf("1 min")];
  let compared = 0;
  for (const [second, values] of sent) {
    const i = d.times.indexOf(second);
    if (i < 0) continue;
    const got = line[i];
    // A point whose acknowledgement was lost with the server may be there as well.
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    assert.ok(got !== null && Math.abs(got - mean) <= 1.01, `second ${second}: drawn ${got}, sent ${values}`);
    compared++;
  }
  assert.ok(compared >= 4, `${compared} seconds were compared`);
  assert.deepEqual(d.times, [...new Set(d.times)].sort((a, b) => a - b));
  await page.close();
});
