import { defineConfig } from "vitest/config";

// System web views lag behind browsers: WebKitGTK and WKWebView as Safari 16.4, WebView2 and Qt as Chrome 111.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: ["safari16.4", "chrome111"],
    // Inlined assets would need `data:` in font-src and hide from the cache.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/markdown/happy-dom.setup.ts"],
  },
});
