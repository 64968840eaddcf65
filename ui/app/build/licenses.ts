import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";

/** The folder of the package that a module's file belongs to, null for our own. */
function packageOf(file: string): string | null {
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file.replace(/\0/g, ""));
  return match?.[1] ?? null;
}

/**
 * Writes licenses.txt with the licence of every package that is in the build,
 * as most of them ask of whoever passes them on. A package without one fails
 * the build. extra names packages of which only assets are used.
 */
export function licenses(root: string, extra: string[]): Plugin {
  return {
    name: "belfry-licenses",
    apply: "build",
    generateBundle() {
      const folders = new Set(extra.map((name) => join(root, "node_modules", name)));
      for (const id of this.getModuleIds()) {
        const folder = packageOf(id);
        if (folder && existsSync(join(folder, "package.json"))) folders.add(folder);
      }
      const parts = [...folders]
        .map((folder) => {
          const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string; version: string; license?: string };
          const text = licenseText(folder);
          if (!text && !about.license) throw new Error(`${about.name} says nothing about its licence`);
          return { title: `${about.name} ${about.version} (${about.license ?? "see below"})`, text: text ?? "" };
        })
        .sort((a, b) => a.title.localeCompare(b.title));
      const line = "-".repeat(72);
      this.emitFile({
        type: "asset",
        fileName: "licenses.txt",
        source:
          "Belfry's web app contains the packages below.\n\n" +
          parts.map(({ title, text }) => `${line}\n${title}\n${line}\n\n${text.trim()}\n`).join("\n"),
      });
    },
  };
}

/** A package's own licence file, or that of the folder above in a monorepo. */
function licenseText(folder: string): string | null {
  for (const place of [folder, dirname(folder)]) {
    const name = readdirSync(place).find((file) => /^(licen[cs]e|copying)(\.|$)/i.test(file));
    if (name) return readFileSync(join(place, name), "utf8");
  }
  return null;
}
