import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { type Plugin, defineConfig } from "vite";

// The page is served from wherever radfoundry runs, so every address in it is relative; the built files go into the Python package.
export default defineConfig({
  base: "./",
  plugins: [licences()],
  // NiiVue can read zarr; the decoders of that (1.4 MB) are never reached here
  resolve: { alias: [{ find: /^numcodecs\/.*/, replacement: fileURLToPath(new URL("src/viewer/no-codec.ts", import.meta.url)) }] },
  build: {
    outDir: "../src/radfoundry/serving/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});

/** Write the licences of all libraries in the bundle beside it. */
function licences(): Plugin {
  return {
    name: "licences",
    generateBundle() {
      const folders = new Set([...this.getModuleIds()].map(packageFolder).filter((folder) => folder !== null));
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, string>;
        const own = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
        // a package that leaves its licence out has it in licences/
        const text = own ? join(folder, own) : fileURLToPath(new URL(`licences/${name!.split("/").at(-1)}.txt`, import.meta.url));
        return `${name} ${version}, ${license}\n\n${readFileSync(text, "utf8").trim()}`;
      });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n` });
    },
  };
}

/** The folder of the package that a module belongs to, null for our own. */
function packageFolder(id: string): string | null {
  if (!id.includes("/node_modules/") || id.startsWith("\0")) return null;
  let folder = dirname(id);
  while (folder.includes("/node_modules/") && !isPackage(folder)) folder = dirname(folder);
  return isPackage(folder) ? folder : null;
}

const isPackage = (folder: string): boolean =>
  existsSync(join(folder, "package.json")) && "version" in JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
