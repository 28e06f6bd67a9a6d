// Bundles src into dist with names that hold a hash of their content, so that the
// browser may keep them for ever. The same input gives the same bytes.
//   node assets/build.mjs           writes assets/dist
//   node assets/build.mjs --test    bundles test/*.test.ts into a temporary folder and runs them
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
process.chdir(here);

async function bundle() {
  rmSync("dist", { recursive: true, force: true });
  const result = await build({
    entryPoints: { app: "./src/main.ts", style: "./src/style.css", icon: "./src/icon.svg" },
    absWorkingDir: here,
    outdir: "dist",
    bundle: true,
    minify: true,
    format: "esm",
    target: ["chrome123", "firefox120", "safari17.5"],
    legalComments: "none",
    charset: "utf8",
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    publicPath: "/assets",
    loader: { ".woff2": "file", ".svg": "copy" },
    metafile: true,
  });
  const manifest = {};
  for (const [file, out] of Object.entries(result.metafile.outputs)) {
    const name = path.basename(file);
    manifest[name.replace(/-[A-Z0-9]{8}\./, ".")] = name;
    if (out.bytes === 0) throw new Error(`${file} is empty`);
  }
  const sorted = Object.fromEntries(Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync("dist/manifest.json", JSON.stringify(sorted, null, 2) + "\n");
  for (const [file, out] of Object.entries(result.metafile.outputs)) console.log(file, out.bytes);
}

async function test() {
  const outdir = mkdtempSync(path.join(tmpdir(), "freshet-test-"));
  try {
    const tests = readdirSync("test").filter((f) => f.endsWith(".test.ts")).map((f) => path.join("test", f));
    await build({ absWorkingDir: here, entryPoints: tests, outdir, bundle: true, platform: "node", format: "esm", outExtension: { ".js": ".mjs" } });
    const files = readdirSync(outdir).map((f) => path.join(outdir, f));
    const run = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" });
    process.exitCode = run.status ?? 1;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

await (process.argv.includes("--test") ? test() : bundle());
