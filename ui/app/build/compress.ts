import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const compressible = /\.(js|css|html|svg|json|txt|webmanifest)$/;

/** Below this size a compressed copy saves less than a packet. */
const smallest = 1024;

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

/**
 * Writes name.br and name.gz beside every text file of the build, once and at
 * the highest level, so that the server never compresses.
 */
export function precompress(folder: string): Plugin {
  return {
    name: "belfry-precompress",
    apply: "build",
    closeBundle() {
      for (const path of filesUnder(folder)) {
        if (!compressible.test(path)) continue;
        const body = readFileSync(path);
        if (body.length < smallest) continue;
        writeFileSync(
          path + ".br",
          brotliCompressSync(body, {
            params: {
              [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
              [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
            },
          }),
        );
        writeFileSync(path + ".gz", gzipSync(body, { level: 9 }));
      }
    },
  };
}
