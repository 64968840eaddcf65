// Clicks through every page of the web app in a real browser against a running
// Belfry and asserts what the pages show. Needs BELFRY_URL, and telemetry that
// keeps coming (`belfry demo`, or anything else with traces, logs and metrics
// of the same services). Alerts, a silence and an incident it makes itself.
//
// It fails on any error in the console, any exception in a page, any failed
// request, and any request to another host.
import { mkdirSync } from "node:fs";
import { openBrowser } from "./browser.mjs";
import { Api } from "./api.mjs";
import { steps } from "./steps.mjs";

const base = (process.env.BELFRY_URL ?? "").replace(/\/$/, "");
if (!base) {
  process.stderr.write("BELFRY_URL is not set: the browser test needs a running Belfry, e.g. BELFRY_URL=http://127.0.0.1:4321\n");
  process.exit(2);
}
const out = new URL("./out/", import.meta.url).pathname;
mkdirSync(out, { recursive: true });

const { context, close } = await openBrowser();
const page = await context.newPage();
page.setDefaultTimeout(20_000);

/** What went wrong in the browser since the last step; each step must leave it empty. */
const complaints = [];
let expected = [];
page.on("console", (message) => {
  // A failed request is also reported in the console; the response handler below has it.
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(`console: ${message.text()}`);
});
page.on("pageerror", (error) => complaints.push(`exception: ${error.stack ?? error.message}`));
page.on("requestfailed", (request) => {
  // Requests that the app itself gave up because a newer one replaced them.
  if (request.failure()?.errorText === "net::ERR_ABORTED") return;
  complaints.push(`request failed: ${request.url()} ${request.failure()?.errorText}`);
});
page.on("response", (response) => {
  const path = new URL(response.url()).pathname;
  if (response.status() >= 400 && !expected.some((pattern) => pattern.test(path))) {
    complaints.push(`status ${response.status()}: ${response.url()}`);
  }
});
page.on("request", (request) => {
  if (!request.url().startsWith(base) && !request.url().startsWith("data:")) complaints.push(`request to another host: ${request.url()}`);
});

const world = {
  base,
  page,
  api: new Api(base),
  /** Lets requests for paths that match fail during this step. */
  expectFailure: (pattern) => expected.push(pattern),
  shot: (name) => page.screenshot({ path: `${out}${name}.png` }),
};

let failed = 0;
const began = Date.now();
const only = process.env.E2E_ONLY ? new RegExp(`data is there|${process.env.E2E_ONLY}`) : /^/;
const chosen = steps.filter(([name]) => only.test(name));
for (const [name, run] of chosen) {
  const start = Date.now();
  expected = [];
  complaints.length = 0;
  let fault = "";
  try {
    await run(world);
    // Late requests of the step are its own fault, not the next one's.
    await page.waitForLoadState("networkidle");
  } catch (error) {
    fault = error.stack ?? String(error);
  }
  if (!fault && complaints.length > 0) fault = complaints.join("\n");
  else if (fault && complaints.length > 0) fault += `\nalso: ${complaints.join("\n")}`;
  const label = name.replace(/[^a-z0-9]+/gi, "-");
  process.stdout.write(`${fault ? "FAIL" : "ok  "} ${name} (${Date.now() - start} ms)\n`);
  if (fault) {
    failed++;
    await world.shot(`FAILED-${label}`).catch(() => {});
    process.stdout.write(`${fault.replace(/^/gm, "     ")}\n`);
    if (name === "data is there") break;
  }
}
await close();
process.stdout.write(`${chosen.length - failed} of ${chosen.length} steps passed in ${Math.round((Date.now() - began) / 1000)} s; pictures in ${out}\n`);
process.exit(failed === 0 ? 0 : 1);
