import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { precompress } from "./build/compress.ts";
import { licenses } from "./build/licenses.ts";

const root = fileURLToPath(new URL(".", import.meta.url));

// The Go package embeds this folder (../embed.go).
const outDir = fileURLToPath(new URL("../dist", import.meta.url));

const apis = ["/api", "/loki", "/tempo", "/jaeger", "/alertmanager", "/v1", "/-", "/metrics"];
const backend = process.env.BELFRY_URL ?? "http://127.0.0.1:4321";

export default defineConfig({
  plugins: [
    react(),
    licenses(root, ["@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"]),
    precompress(outDir),
  ],
  build: {
    outDir,
    emptyOutDir: true,
    target: "es2022",
    // The content security policy refuses data: fonts and scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 500,
  },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(apis.map((path) => [path, { target: backend }])),
  },
});
