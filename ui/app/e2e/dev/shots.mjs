// node e2e/dev/shots.mjs URL OUTDIR path[=name]...: pictures of pages, in both
// themes where THEME is "both", and whatever the console said.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "../browser.mjs";

const [base, out, ...paths] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const themes = process.env.THEME === "both" ? ["dark", "light"] : [process.env.THEME ?? "dark"];
const width = Number(process.env.WIDTH ?? 1440);
for (const theme of themes) {
  const { context, close } = await openBrowser({ colorScheme: theme, viewport: { width, height: Number(process.env.HEIGHT ?? 900) } });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && process.stdout.write(`${page.url()}: ${message.text()}\n`));
  page.on("pageerror", (error) => process.stdout.write(`${page.url()}: ${error.stack}\n`));
  page.on("response", (response) => response.status() >= 400 && process.stdout.write(`${response.status()} ${response.url()}\n`));
  for (const item of paths) {
    const [path, name = path.replace(/[^a-z0-9]+/gi, "-")] = item.split("@");
    await page.goto(base + path);
    await page.waitForTimeout(Number(process.env.WAIT ?? 1200));
    if (process.env.DO) await new Function("page", `return (async () => {${process.env.DO}})()`)(page);
    await page.screenshot({ path: join(out, `${name}-${theme}.png`) });
  }
  await close();
}
