// What the browser tests share: the server's address and a Chromium.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

export const url = process.env.FRESHET_URL;

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function launch() {
  const executablePath = places.find((p) => p && existsSync(p));
  if (!executablePath) throw new Error("no Chromium: install it or name it in CHROMIUM");
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

// open shows a page and collects what it complains of: errors, exceptions, breaches of
// the content security policy.
export async function open(browser, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(e.message));
  await page.goto(url + path);
  return { page, context, complaints };
}

// drawn waits until a chart has at least n points and returns what it shows.
export async function drawn(page, panel, n = 2) {
  const handle = await page.waitForFunction(
    ([id, least]) => {
      const p = document.querySelector(`fr-panel[data-panel="${id}"]`)?.drawn;
      return p && p.times.length >= least ? { times: p.times, values: p.values, final: p.final, names: p.lines.map((l) => l.name), stepMs: p.stepMs } : null;
    },
    [panel, n],
    { timeout: 10_000 },
  );
  return handle.jsonValue();
}
