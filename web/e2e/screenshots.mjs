// Takes the pictures of the README from a running demo: FRESHET_URL says where it is,
// the argument is the folder to write to.
import { chromium } from 'playwright-core';

const url = process.env.FRESHET_URL;
const out = process.argv[2];
if (!url || !out) {
  console.error('usage: FRESHET_URL=http://… node e2e/screenshots.mjs FOLDER');
  process.exit(2);
}
const pictures = [
  { name: 'shop', path: '/d/shop', width: 1440, height: 900, theme: 'dark' },
  { name: 'shop-light', path: '/d/shop', width: 1440, height: 900, theme: 'light' },
  { name: 'host', path: '/d/host', width: 1440, height: 900, theme: 'dark' },
  { name: 'host-light', path: '/d/host', width: 1440, height: 900, theme: 'light' },
  { name: 'home', path: '/', width: 1440, height: 900, theme: 'light' },
  { name: 'shop-phone', path: '/d/shop', width: 390, height: 844, theme: 'dark' },
  { name: 'host-phone', path: '/d/host', width: 390, height: 844, theme: 'light' },
];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
for (const p of pictures) {
  const page = await browser.newPage({ viewport: { width: p.width, height: p.height }, colorScheme: p.theme });
  await page.goto(url + p.path);
  await page.waitForTimeout(3500); // charts are drawn and numbers have moved
  await page.screenshot({ path: `${out}/${p.name}.png` });
  await page.close();
}
await browser.close();
