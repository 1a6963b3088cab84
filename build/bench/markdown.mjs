// Bundles frontend/src/markdown/bench.tsx into the folder given, the way the product's page is bundled.
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const frontend = resolve(import.meta.dirname, "../../frontend");
const vite = createRequire(resolve(frontend, "package.json")).resolve("vite");
const { build } = await import(pathToFileURL(vite).href);

await build({
  root: frontend,
  configFile: resolve(frontend, "vite.config.ts"),
  logLevel: "error",
  build: {
    outDir: resolve(process.argv[2]),
    emptyOutDir: true,
    rollupOptions: {
      input: resolve(frontend, "src/markdown/bench.tsx"),
      output: { entryFileNames: "bench.js", assetFileNames: "bench[extname]", chunkFileNames: "[name].js" },
    },
  },
});
