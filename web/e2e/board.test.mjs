// The boards in a real browser, against a server that runs the demo at FRESHET_URL.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { drawn, launch, open, url } from "./browser.mjs";

const skip = url ? false : "FRESHET_URL names no server";
let browser;
before(async () => {
  if (url) browser = await launch();
});
after(() => browser?.close());

const plot = (page, panel) => page.locator(`fr-panel[data-panel="${panel}"] .u-over`);

test("both boards draw every panel and complain of nothing", { skip }, async () => {
  for (const board of ["host", "shop"]) {
    const { page, context, complaints } = await open(browser, `/d/${board}?range=5m`);
    await page.waitForFunction(() => document.querySelector("#pill").dataset.state === "live");
    await page.waitForFunction(() => [...document.querySelectorAll('fr-panel[data-kind="stat"] [data-value]')].filter((e) => e.dataset.value !== "").length >= 5, null, { timeout: 15_000 });
    const charts = await page.locator('fr-panel[data-kind="timeseries"]').count();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.waitForFunction((n) => document.querySelectorAll("fr-panel .uplot canvas").length >= n - 1, charts, { timeout: 15_000 });
    await page.waitForFunction(() => document.querySelectorAll("fr-panel .table tbody tr").length > 2, null, { timeout: 15_000 });
    assert.deepEqual(complaints, [], board);
    await context.close();
  }
});

test("charts move by themselves", { skip }, async () => {
  const { page, context } = await open(browser, "/d/host?range=1m");
  const first = await drawn(page, "load");
  await page.waitForFunction((t) => document.querySelector('fr-panel[data-panel="load"]').drawn.times.at(-1) >= t + 2000, first.times.at(-1), { timeout: 8000 });
  assert.match(await page.locator("#pill .words").textContent(), /^live · \d+\.\d\sbehind|^live · \d+\.\d\u00a0s behind/);
  await context.close();
});

test("what is drawn is what a query answers", { skip }, async () => {
  const { page, context } = await open(browser, "/d/shop?range=5m");
  const d = await drawn(page, "latency", 10);
  const from = d.times[1];
  const to = d.times[d.final - 1];
  const answer = await page.evaluate(async (q) => (await fetch("/api/v1/query", { method: "POST", body: JSON.stringify(q) })).json(), {
    metric: "shop.request.duration", agg: "p95", from, to, step: `${d.stepMs / 1000}s`,
  });
  const line = d.values[d.names.indexOf("p95")];
  let compared = 0;
  answer.times.forEach((t, i) => {
    const k = d.times.indexOf(t);
    const want = answer.series[0].values[i];
    if (k < 0 || want === null) return;
    // A late post may have changed a step between the two looks.
    if (Math.abs(line[k] - want) <= Math.abs(want) * 1e-9) compared++;
  });
  assert.ok(compared >= (to - from) / d.stepMs - 5, `${compared} steps agree of ${(to - from) / d.stepMs}`);
  await context.close();
});

test("range, pause, zoom and picked series are in the address, and back works", { skip }, async () => {
  const { page, context } = await open(browser, "/d/shop");
  await drawn(page, "orders");
  await page.locator('input[name="range"][value="5m"]').click();
  await page.waitForURL(/range=5m/);
  await page.keyboard.press("Escape");
  await page.locator("h1").click();
  await page.keyboard.press(" ");
  await page.waitForURL(/from=\d+&to=\d+/);
  assert.match(await page.locator("#pill .words").textContent({ timeout: 2000 }), /paused|live/);
  await page.waitForFunction(() => document.querySelector("#pill").dataset.state === "paused");
  const still = await drawn(page, "orders");
  await page.waitForTimeout(1500);
  assert.deepEqual((await drawn(page, "orders")).times, still.times, "a paused picture stands still");
  await page.keyboard.press(" ");
  await page.waitForFunction((t) => document.querySelector('fr-panel[data-panel="orders"]').drawn.times.at(-1) > t, still.times.at(-1));

  const box = await plot(page, "latency").boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + 40, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const zoomed = new URL(page.url()).searchParams;
  assert.ok(Math.abs((zoomed.get("to") - zoomed.get("from")) / 120_000 - 1) < 0.1, "two fifths of five minutes");
  const shared = page.url();
  await page.goBack();
  await page.waitForURL((u) => !u.searchParams.has("from"));

  await page.locator('fr-panel[data-panel="orders"] .legend button').first().click();
  await page.waitForURL(/only\.orders=/);
  // The address changes at once, the picture with the next drawing.
  await page.waitForFunction(() => document.querySelector('fr-panel[data-panel="orders"]').drawn.lines.length === 1);

  const other = await open(browser, shared.replace(url, ""));
  await other.page.waitForFunction(() => document.querySelector("#pill").dataset.state === "paused");
  assert.match(await other.page.locator("#span").textContent(), /–/);
  await other.context.close();
  await context.close();
});

test("the crosshair is on every chart, and a click pins the values", { skip }, async () => {
  const { page, context } = await open(browser, "/d/shop?range=15m");
  await drawn(page, "orders");
  await drawn(page, "latency");
  const box = await plot(page, "orders").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForFunction(() => {
    const off = (id) => document.querySelector(`fr-panel[data-panel="${id}"] .u-cursor-x`).style.transform;
    return off("orders") !== "" && off("latency") !== "" && !off("latency").includes("-10px");
  });
  const tip = page.locator('fr-panel[data-panel="orders"] .tooltip');
  assert.ok(await tip.isVisible());
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.move(5, 300);
  assert.ok(await tip.isVisible(), "it is pinned");
  const pinned = await tip.locator("header b").textContent();
  await page.waitForTimeout(1200);
  assert.equal(await tip.locator("header b").textContent(), pinned, "updates leave it alone");
  await page.keyboard.press("Escape");
  assert.ok(await tip.isHidden());
  await context.close();
});

test("keys: help, search, data of a panel, a panel alone, all boards", { skip }, async () => {
  const { page, context, complaints } = await open(browser, "/d/shop");
  await drawn(page, "orders");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Help" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("request lat");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.dataset.panel === "latency");
  await page.keyboard.press("d");
  const rows = page.getByRole("dialog", { name: "Data of Request latency" }).locator("tbody tr");
  assert.ok((await rows.count()) > 5);
  await page.keyboard.press("Escape");
  await page.keyboard.press("f");
  await page.waitForURL(/panel=latency/);
  await page.waitForFunction(() => document.querySelector('fr-panel[data-panel="latency"]').clientHeight > 600);
  await page.keyboard.press("Escape");
  await page.waitForURL((u) => !u.searchParams.has("panel"));
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.waitForURL(`${url}/`);
  await page.getByRole("link", { name: "This machine" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test("the theme follows the system until it is chosen, and is remembered", { skip }, async () => {
  const { page, context } = await open(browser, "/", { colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.locator('[data-action="theme"]').click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await ground(), dark);
  await context.close();
});

test("a phone gets one column and nothing to scroll sideways", { skip }, async () => {
  for (const path of ["/", "/d/host", "/d/shop"]) {
    const { page, context } = await open(browser, path, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await page.waitForSelector("fr-panel .stat");
    await page.waitForTimeout(500);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), path);
    if (path !== "/") {
      const pause = await page.locator('[data-action="pause"]').boundingBox();
      assert.ok(pause.y > 700 && pause.height >= 44, "pause is in reach of the thumb");
    }
    await context.close();
  }
});

test("a hidden tab draws nothing", { skip }, async () => {
  const { page, context } = await open(browser, "/d/host?range=1m");
  await drawn(page, "cpu");
  const frames = await page.evaluate(async () => {
    // What a hidden tab is to a page: no animation frames are given.
    const real = window.requestAnimationFrame;
    window.requestAnimationFrame = () => 0;
    await new Promise((ok) => setTimeout(ok, 300));
    let draws = 0;
    const proto = CanvasRenderingContext2D.prototype;
    const stroke = proto.stroke;
    proto.stroke = function (...a) { draws++; return stroke.apply(this, a); };
    await new Promise((ok) => setTimeout(ok, 1500));
    proto.stroke = stroke;
    window.requestAnimationFrame = real;
    return draws;
  });
  assert.equal(frames, 0);
  await context.close();
});
