import assert from "node:assert/strict";
import { until } from "./api.mjs";

const stamp = Date.now().toString(36);
const alertName = `BrowserTest${stamp}`;

/** What one step learns for the next. */
const seen = { service: "", trace: "", metric: "", incident: null };

const text = (page, selector) => page.locator(selector).first().innerText();

async function waitText(page, selector, wanted) {
  const pattern = wanted instanceof RegExp ? wanted : new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  await page.locator(selector).filter({ hasText: pattern }).first().waitFor();
}

async function noErrors(page) {
  const boxes = await page.locator(".error-box").allInnerTexts();
  assert.deepEqual(boxes, [], "the page shows an error");
}

export const steps = [
  [
    "data is there",
    async ({ api }) => {
      const names = await until("services with traces", async () => {
        const list = (await api.services()).filter((name) => name !== "belfry");
        return list.length > 1 && list;
      });
      await until("log lines of one of them", async () => {
        for (const name of names) {
          if ((await api.lines(`{service_name="${name}"}`)).length > 5) return (seen.service = name);
        }
        return "";
      });
      seen.metric = await until("a metric of requests", async () => {
        const names = await api.metricNames();
        return names.find((name) => name === "http_server_request_duration_seconds_count") ?? "";
      });
      seen.trace = await until("a trace of several spans", async () => {
        const list = await api.traces(`{ resource.service.name = "${seen.service}" }`);
        return list.at(-1)?.traceID;
      });
      // An alert as any Prometheus would send it: the source of an incident below.
      await api.post("/alertmanager/api/v2/alerts", [
        {
          labels: { alertname: alertName, severity: "critical", service_name: seen.service },
          annotations: { summary: `Sent by the browser test ${stamp}` },
          startsAt: new Date().toISOString(),
          endsAt: new Date(Date.now() + 3_600_000).toISOString(),
          generatorURL: "http://prometheus.example/graph?g0.expr=up+%3D%3D+1&g0.tab=1",
        },
      ]);
    },
  ],
  [
    "overview: services with their figures",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/`);
      await waitText(page, "tbody tr", seen.service);
      assert.match(await text(page, ".tile >> nth=0"), /Open incidents/);
      // Belfry exports its own metrics now and then, so the first take a while.
      await page.locator(".tile-wide b").first().waitFor({ timeout: 60_000 });
      await noErrors(page);
      await shot("overview");
    },
  ],
  [
    "navigation: every page by its link, and by key",
    async ({ base, page }) => {
      await page.goto(`${base}/`);
      for (const name of ["Metrics", "Logs", "Traces", "Alerts", "Incidents", "On-call", "Inbox", "Overview"]) {
        await page.locator("nav .nav-item", { hasText: new RegExp(`^${name}$`) }).click();
        await waitText(page, "h1", new RegExp(`^${name}$`));
      }
      await page.locator("main").focus();
      await page.keyboard.press("g");
      await page.keyboard.press("t");
      await waitText(page, "h1", "Traces");
      await page.goBack();
      await waitText(page, "h1", "Overview");
    },
  ],
  [
    "theme: the switch changes it, and it stays",
    async ({ page }) => {
      const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await page.locator('button[title="Light theme"]').click();
      const light = await background();
      await page.locator('button[title="Dark theme"]').click();
      const dark = await background();
      assert.notEqual(light, dark);
      await page.reload();
      assert.equal(await background(), dark);
    },
  ],
  [
    "metrics: a query typed with completion is drawn",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/explore/metrics`);
      const editor = page.locator('[data-testid="promql"] .cm-content');
      await editor.click();
      await editor.pressSequentially(seen.metric.slice(0, 12), { delay: 15 });
      const options = page.locator(".cm-tooltip-autocomplete li");
      await options.first().waitFor();
      const offered = await options.allInnerTexts();
      assert.ok(
        offered.some((option) => option.startsWith(seen.metric.slice(0, 12))),
        `completion offers ${offered.slice(0, 5)}`,
      );
      await shot("metrics-completion");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+a");
      await page.keyboard.insertText(`sum by (service_name) (rate(${seen.metric}[1m]))`);
      await page.keyboard.press("Control+Enter");
      await page.locator(".chart canvas").waitFor();
      const rows = page.locator(".legend-row");
      await rows.first().waitFor();
      assert.ok((await rows.count()) >= 1);
      assert.match(page.url(), /expr=sum/);
      await until("no list of operators over the chart", async () => (await options.count()) === 0);
      await noErrors(page);
      await shot("metrics");
    },
  ],
  [
    "metrics: pointing at the chart tells values, dragging over it zooms",
    async ({ page, shot }) => {
      const area = await page.locator(".chart .u-over").boundingBox();
      assert.ok(area);
      const at = (x) => page.mouse.move(area.x + area.width * x, area.y + area.height / 2);
      await at(0.999);
      await page.locator(".chart-tooltip-row").first().waitFor();
      await shot("metrics-tooltip");
      await at(0.5);
      await page.mouse.down();
      await at(0.75);
      await at(0.9);
      await page.mouse.up();
      await page.waitForURL((url) => /^\d+$/.test(url.searchParams.get("from") ?? ""));
      const { from, to } = Object.fromEntries(new URL(page.url()).searchParams);
      const minutes = (Number(to) - Number(from)) / 60_000;
      assert.ok(minutes > 10 && minutes < 14, `0.4 of 30 minutes are not ${minutes}`);
    },
  ],
  [
    "metrics: an exemplar leads to its trace",
    async ({ base, page, shot }) => {
      const query = "histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))";
      await page.goto(`${base}/explore/metrics?from=now-5m&to=now&expr=${encodeURIComponent(query)}`);
      await page.locator(".chart canvas").waitFor();
      const area = await page.locator(".chart .u-over").boundingBox();
      assert.ok(area);
      const mark = page.locator(".chart-tooltip-point");
      const search = async () => {
        // Marks are pixels of a canvas: sweep the mouse over it until one answers.
        for (let y = 0.98; y > 0; y -= 0.03) {
          for (let x = 0.995; x > 0.4; x -= 0.01) {
            await page.mouse.move(area.x + area.width * x, area.y + area.height * y);
            if ((await mark.count()) > 0) return true;
          }
        }
        return false;
      };
      assert.ok(await search(), "no exemplar under the mouse anywhere");
      await shot("metrics-exemplar");
      await page.mouse.down();
      await page.mouse.up();
      await page.waitForURL((url) => url.pathname.startsWith("/traces/"));
      await page.locator(".wf-row").first().waitFor();
    },
  ],
  [
    "metrics: legend, table, second query, shared address",
    async ({ base, page, shot }) => {
      const query = `sum by (service_name) (rate(${seen.metric}[1m]))`;
      await page.goto(`${base}/explore/metrics?expr=${encodeURIComponent(query)}`);
      const first = page.locator(".legend-row").first();
      await first.locator('button[title="Hide"]').click();
      await page.locator(".legend-row.hidden").waitFor();
      await page.getByRole("tab", { name: "Table" }).click();
      await page.locator("td .label-tag").first().waitFor();
      await page.getByRole("button", { name: "Add query" }).click();
      await page.locator(".cm-content").nth(1).click();
      await page.keyboard.insertText("count(up)");
      await page.keyboard.press("Enter");
      await waitText(page, "tbody td:first-child", "B");
      const url = page.url();
      await page.goto("about:blank");
      await page.goto(url);
      await waitText(page, "tbody td:first-child", "B");
      await waitText(page, ".cm-content >> nth=1", "count(up)");
      await shot("metrics-table");
    },
  ],
  [
    "metrics: a fault in the query is told in the server's words",
    async ({ base, page, expectFailure }) => {
      expectFailure(/^\/api\/v1\/query/);
      await page.goto(`${base}/explore/metrics?expr=${encodeURIComponent("sum(rate(up[5m])")}`);
      await waitText(page, ".error-box", /parse error|unclosed/);
    },
  ],
  [
    "metrics: the browser of metrics writes a first query",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/explore/metrics`);
      await page.getByRole("button", { name: "Browse metrics" }).first().click();
      await page.locator(".metric-item").first().waitFor();
      await page.getByLabel("Filter metrics").fill(seen.metric);
      await waitText(page, ".metric-item", seen.metric);
      await shot("metrics-browser");
      await page.locator(".metric-item", { hasText: seen.metric }).first().click();
      await page.locator(".chart canvas").waitFor();
      assert.match(decodeURIComponent(page.url()), new RegExp(seen.metric));
    },
  ],
  [
    "metrics: Prometheus' own addresses lead here",
    async ({ base, page }) => {
      await page.goto(`${base}/graph?g0.expr=count(up)&g0.tab=1&g0.range_input=1h`);
      await waitText(page, "h1", "Metrics");
      await waitText(page, ".cm-content", "count(up)");
      await page.locator("tbody tr").first().waitFor();
    },
  ],
  [
    "logs: newest lines with volume",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/logs`);
      await page.locator(".log-row").first().waitFor();
      await page.locator(".volume-legend b").first().waitFor();
      const times = await page.locator(".log-time").evaluateAll((list) => list.map((time) => time.dateTime));
      assert.deepEqual(times, times.toSorted().toReversed(), "lines are not newest first");
      await noErrors(page);
      await shot("logs");
    },
  ],
  [
    "logs: label browser, expanded row, filter for a field",
    async ({ page, shot }) => {
      await page.locator(".label-pick", { hasText: new RegExp(`^${seen.service}$`) }).click();
      await page.waitForURL((url) => url.searchParams.get("q")?.includes(`service_name="${seen.service}"`));
      await waitText(page, ".log-service", seen.service);
      await until("only lines of the service", async () => {
        const services = await page.locator(".log-service").allInnerTexts();
        return services.length > 0 && services.every((name) => name === seen.service);
      });
      await page.locator(".log-row .log-text").first().click();
      const row = page.locator(".log-row.open").first();
      await row.locator(".field-row").first().waitFor();
      await shot("logs-expanded");
      const field = row.locator("section", { hasText: /^Fields/i }).locator('button[title^="Only "]').first();
      const title = await field.getAttribute("title");
      await field.click();
      const [, name, value] = /^Only (\S+) = (.*)$/s.exec(title ?? "") ?? [];
      assert.ok(name, `unexpected title ${title}`);
      await page.waitForURL((url) => url.searchParams.get("q")?.endsWith(`| ${name}=${JSON.stringify(value)}`));
      await page.locator(".log-row").first().waitFor();
      await noErrors(page);
    },
  ],
  [
    "logs: plain words, and what matches nothing",
    async ({ base, page, api }) => {
      const [line] = await api.lines(`{service_name="${seen.service}"}`);
      const word = /[A-Za-z]{4,}/.exec(line)?.[0] ?? line.slice(0, 4);
      await page.goto(`${base}/logs`);
      await page.getByLabel("Log query").fill(word);
      await page.keyboard.press("Enter");
      await waitText(page, ".translated code", `{} |= "${word}"`);
      await waitText(page, ".log-text", word);
      await page.getByLabel("Log query").fill(`nothing-has-${stamp}`);
      await page.keyboard.press("Enter");
      await waitText(page, ".empty", "No lines in this time range");
    },
  ],
  [
    "logs: patterns, and the lines of one",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/logs?q=${encodeURIComponent(`{service_name="${seen.service}"}`)}`);
      await page.getByRole("button", { name: "Patterns" }).click();
      const row = page.locator(".patterns tbody tr").first();
      await row.waitFor();
      await shot("logs-patterns");
      await row.getByTitle("Only lines of this pattern").click();
      await page.waitForURL((url) => url.searchParams.get("q")?.includes("|>") && !url.searchParams.get("view"));
      await page.locator(".log-row").first().waitFor();
      await noErrors(page);
    },
  ],
  [
    "logs: live lines come by themselves, until switched off",
    async ({ base, page }) => {
      await page.goto(`${base}/logs?from=now-5m&to=now`);
      const newest = () => page.locator(".log-time").first().evaluate((time) => time.dateTime);
      await page.locator(".log-row").first().waitFor();
      await page.getByRole("button", { name: "Live" }).click();
      const before = await newest();
      await until("a newer line", async () => (await newest()) > before, 30_000);
      await page.getByRole("button", { name: "Live" }).click();
      await page.waitForURL((url) => url.searchParams.get("refresh") === "off");
      await page.locator("main").focus();
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await page.locator(".log-row.active").waitFor();
      await page.keyboard.press("Enter");
      await page.locator(".log-row.active.open").waitFor();
      await noErrors(page);
    },
  ],
  [
    "logs: older lines are loaded when scrolled to",
    async ({ base, page, api }) => {
      const total = (await api.lines("{}", 1200)).length;
      await page.goto(`${base}/logs`);
      await page.locator(".log-row").first().waitFor();
      const shown = async () => Number((await text(page, ".logs-bar")).replace(/,/g, "").match(/^\d+/)?.[0]);
      await until("the first page", async () => (await shown()) > 0);
      const before = await shown();
      if (total <= 500) {
        assert.ok(before > 0 && before <= 500);
        return;
      }
      await until("a second page", async () => {
        await page.locator(".log-list").evaluate((list) => list.scrollTo(0, list.scrollHeight));
        return (await shown()) > before;
      });
      await noErrors(page);
    },
  ],
  [
    "logs: a count is drawn, with a way to its lines",
    async ({ base, page, shot }) => {
      const query = `sum by (service_name) (count_over_time({service_name="${seen.service}"} [1m]))`;
      await page.goto(`${base}/logs?q=${encodeURIComponent(query)}`);
      await page.locator(".chart canvas").waitFor();
      await shot("logs-count");
      await page.getByRole("button", { name: "Show the lines behind it" }).click();
      await page.locator(".log-row").first().waitFor();
    },
  ],
  [
    "logs to trace: a line's trace opens",
    async ({ base, page }) => {
      await page.goto(`${base}/logs?q=${encodeURIComponent(`{service_name="${seen.service}"}`)}`);
      const link = page.locator("a.log-trace").first();
      await link.waitFor();
      await link.click();
      await page.locator(".wf-row").first().waitFor();
      assert.match(page.url(), /\/traces\/[0-9a-f]{32}/);
      await noErrors(page);
    },
  ],
  [
    "traces: search by service, with scatter and bars",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/traces`);
      await page.getByLabel("Service", { exact: true }).selectOption(seen.service);
      await page.waitForURL((url) => url.searchParams.get("service") === seen.service);
      await page.locator(".trace-table tbody tr").first().waitFor();
      await until("dots of the scatter plot", async () => (await page.locator(".scatter-dot").count()) > 0);
      await noErrors(page);
      await shot("traces");
    },
  ],
  [
    "traces: duration and raw TraceQL narrow the search",
    async ({ base, page }) => {
      await page.goto(`${base}/traces?service=${seen.service}`);
      await page.getByLabel("Duration from").fill("1h");
      await page.getByRole("button", { name: "Find traces" }).click();
      await waitText(page, ".empty", "No traces in this time range");
      await page.getByRole("button", { name: "TraceQL or id" }).click();
      await page.getByLabel("TraceQL").fill(`{ resource.service.name = "${seen.service}" && duration > 1us }`);
      await page.keyboard.press("Enter");
      await page.locator(".trace-table tbody tr").first().waitFor();
      await page.getByLabel("TraceQL").fill(seen.trace);
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.pathname.startsWith("/traces/"));
      await page.locator(".wf-row").first().waitFor();
    },
  ],
  [
    "trace: waterfall, span details, keys, logs of the span",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/traces/${seen.trace}`);
      await page.locator(".wf-row").first().click();
      await page.locator(".span-panel .field-row").first().waitFor();
      await waitText(page, ".span-panel", /Resource/i);
      const first = new URL(page.url()).searchParams.get("span");
      if ((await page.locator(".wf-row").count()) > 1) {
        await page.locator(".virtual").first().focus();
        await page.keyboard.press("ArrowDown");
        await page.waitForURL((url) => url.searchParams.get("span") !== first);
      }
      await shot("trace");
      await page.getByRole("link", { name: "Logs of the trace" }).click();
      await waitText(page, "h1", "Logs");
      await page.waitForURL((url) => (url.searchParams.get("q") ?? "").includes("trace_id="));
      await page.locator(".log-row, .empty").first().waitFor();
      await noErrors(page);
    },
  ],
  [
    "trace: 10,000 spans scroll and fold, with few rows in the page",
    async ({ base, page, api, shot }) => {
      const id = await api.sendTrace(10_000);
      await until("the trace", async () => (await fetch(`${base}/tempo/api/v2/traces/${id}`)).ok);
      await page.goto(`${base}/traces/${id}`);
      await waitText(page, ".trace-facts", "10,000 spans");
      const rows = page.locator(".wf-row");
      assert.ok((await rows.count()) < 100, "the waterfall is not virtual");
      await page.locator(".waterfall .virtual").evaluate((list) => list.scrollTo(0, list.scrollHeight));
      await waitText(page, ".wf-row", "work 9999");
      await shot("trace-large");
      await page.getByLabel("Find in trace").fill("work 5000");
      await page.keyboard.press("Enter");
      await page.locator(".wf-row.selected", { hasText: "work 5000" }).waitFor();
      await page.getByRole("button", { name: "Close all" }).click();
      await page.locator(".waterfall .virtual").evaluate((list) => list.scrollTo(0, 0));
      assert.equal(await rows.count(), 11, "a root and ten folded parts");
      await noErrors(page);
    },
  ],
  [
    "trace: an id that does not exist is said so",
    async ({ base, page, expectFailure }) => {
      expectFailure(/^\/tempo\/api\/v2\/traces\//);
      await page.goto(`${base}/traces/0123456789abcdef0123456789abcdef`);
      await waitText(page, ".empty", "No such trace");
    },
  ],
  [
    "alerts: the alert, its rule page, a silence made and expired",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/alerts`);
      const item = page.locator(".alert-item", { hasText: alertName });
      await item.waitFor();
      assert.match(await item.innerText(), /critical/);
      await shot("alerts");
      await item.getByRole("button", { name: "Silence" }).click();
      const form = page.locator("dialog");
      await waitText(page, "dialog", /Mutes 1 alert /);
      await form.getByLabel("Your name").fill("browser test");
      await form.getByLabel("Why").fill(`why ${stamp}`);
      await shot("alerts-silence");
      await form.getByRole("button", { name: "Silence", exact: true }).click();
      const row = page.locator("tr", { hasText: `why ${stamp}` });
      await row.waitFor();
      assert.match(await row.innerText(), /active|pending/);
      await row.getByRole("button", { name: "Expire" }).click();
      await row.waitFor({ state: "detached" });
      await noErrors(page);
    },
  ],
  [
    "alerts: rules with their state and signal",
    async ({ base, page, api, shot }) => {
      const groups = (await api.get("/api/v1/rules")).data.groups;
      await page.goto(`${base}/alerts?tab=rules`);
      if (groups.length === 0) {
        await waitText(page, ".empty", "No rules are loaded");
        return;
      }
      for (const rule of groups.flatMap((group) => group.rules)) await waitText(page, ".rule-table tr", rule.name);
      await page.locator(".rule-table tr.clickable").first().click();
      await page.locator(".rule-details").waitFor();
      await noErrors(page);
      await shot("alerts-rules");
    },
  ],
  [
    "alert to metric: the expression over the alert's time",
    async ({ base, page }) => {
      await page.goto(`${base}/alerts`);
      const item = page.locator(".alert-item", { hasText: alertName });
      await item.getByRole("link", { name: "Metric" }).click();
      await waitText(page, ".cm-content", "up");
      await page.locator(".chart canvas").waitFor();
      await page.goBack();
      await item.getByRole("link", { name: `Traces of ${seen.service}` }).click();
      await page.locator(".trace-table tbody tr").first().waitFor();
    },
  ],
  [
    "incidents: the alert has become one",
    async ({ base, page, api, shot }) => {
      seen.incident = await until("the alert's incident", async () =>
        (await api.incidents()).find((one) => JSON.stringify(one).includes(alertName)),
      );
      await page.goto(`${base}/incidents`);
      const row = page.locator(".incident-row", { hasText: `#${seen.incident.number}` }).first();
      await row.waitFor();
      await shot("incidents");
      await row.click();
      await page.locator(".timeline-item").first().waitFor();
      await waitText(page, ".incident-alert", alertName);
      await noErrors(page);
    },
  ],
  [
    "incident: note, reassign, acknowledge, snooze, resolve",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/incidents/${seen.incident.id}`);
      await page.getByRole("button", { name: "Note" }).click();
      await page.locator("dialog textarea").fill(`note ${stamp}`);
      await page.getByRole("button", { name: "Add note" }).click();
      await waitText(page, ".timeline-note", `note ${stamp}`);
      await page.getByRole("button", { name: "Reassign" }).click();
      const people = page.locator("dialog select");
      const options = await people.locator("option").allInnerTexts();
      assert.ok(options.some((option) => option.startsWith("policy ")), "policies can be chosen too");
      const person = options.filter((option) => !option.startsWith("policy ")).at(-1);
      await people.selectOption({ label: person });
      await page.locator("dialog").getByRole("button", { name: "Reassign", exact: true }).click();
      await waitText(page, ".incident-facts", `assigned to ${person}`);
      await page.getByRole("button", { name: "Acknowledge" }).click();
      await waitText(page, ".incident-facts .tag", "acknowledged");
      await page.getByRole("button", { name: "Snooze" }).click();
      await page.locator("dialog").getByRole("button", { name: "30m" }).click();
      await page.locator("dialog").getByRole("button", { name: "Snooze", exact: true }).click();
      await waitText(page, ".incident-facts .tag", "snoozed");
      await shot("incident");
      await page.getByRole("button", { name: "Resolve" }).click();
      await waitText(page, ".incident-facts .tag", "resolved");
      await page.goto(`${base}/incidents?status=resolved`);
      await waitText(page, ".incident-row", `#${seen.incident.number}`);
      await noErrors(page);
    },
  ],
  [
    "incidents: one is opened by hand, changes severity, and is merged",
    async ({ base, page, api, shot }) => {
      for (const part of ["one", "two"]) {
        await page.goto(`${base}/incidents`);
        await page.getByRole("button", { name: "New incident" }).click();
        await page.getByLabel("What is wrong").fill(`By hand ${part} ${stamp}`);
        await page.getByRole("button", { name: "Page somebody" }).click();
        await waitText(page, "h1", `By hand ${part} ${stamp}`);
      }
      await page.getByRole("button", { name: "Severity" }).click();
      await page.locator("dialog select").selectOption("warning");
      await page.getByRole("button", { name: "Change" }).click();
      await waitText(page, ".incident-facts .tag", "warning");
      await page.getByRole("button", { name: "Merge" }).click();
      const into = page.locator("dialog select");
      const other = (await api.incidents()).find((one) => one.title === `By hand one ${stamp}`);
      await into.locator(`option[value="${other.id}"]`).waitFor({ state: "attached" });
      await into.selectOption(other.id);
      await page.locator("dialog").getByRole("button", { name: "Merge", exact: true }).click();
      await page.getByRole("link", { name: "another incident" }).click();
      await waitText(page, "h1", `By hand one ${stamp}`);
      await waitText(page, ".timeline", `By hand two ${stamp} merged into this`);
      await shot("incident-merged");
      const markdown = await fetch(`${base}/api/belfry/v1/incidents/${other.id}/postmortem.md`);
      assert.match(await markdown.text(), /^# Postmortem: #\d+ By hand one/);
      await page.getByRole("button", { name: "Resolve" }).click();
      await waitText(page, ".incident-facts .tag", "resolved");
      await noErrors(page);
    },
  ],
  [
    "incidents: analytics, and from a rule to its incidents",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/incidents`);
      await page.getByRole("link", { name: "Analytics" }).click();
      await waitText(page, "h1", "Analytics");
      await page.locator(".analytics-tile b").first().waitFor();
      await shot("analytics");
      await page.locator("td a", { hasText: alertName }).first().click();
      await waitText(page, ".incident-row", `#${seen.incident.number}`);
      await noErrors(page);
    },
  ],
  [
    "alerts: a message's link proposes a silence",
    async ({ base, page }) => {
      await page.goto(`${base}/alerts?silence=${encodeURIComponent(`{alertname="${alertName}",severity="critical"}`)}`);
      await page.locator("dialog textarea").waitFor();
      assert.match(await page.locator("dialog textarea").inputValue(), new RegExp(`alertname="${alertName}"`));
      await page.getByRole("button", { name: "Cancel" }).click();
      await noErrors(page);
    },
  ],
  [
    "on-call: who is called now and the coming shifts",
    async ({ base, page, api, shot }) => {
      await page.goto(`${base}/oncall`);
      const people = (await api.get("/api/belfry/v1/people")).people ?? [];
      if (people.length === 0) {
        await waitText(page, ".empty", "No schedules");
        return;
      }
      await page.locator(".oncall-card").first().waitFor();
      await page.locator(".shift").first().waitFor();
      const names = people.map((person) => person.name);
      assert.ok(names.includes(await text(page, ".person b")));
      await noErrors(page);
      await shot("oncall");
    },
  ],
  [
    "on-call: an override and a swap",
    async ({ base, page, api }) => {
      await page.goto(`${base}/oncall`);
      if (((await api.get("/api/belfry/v1/people")).people ?? []).length < 2) return;
      const tools = page.locator(".schedule-tools").first();
      await tools.getByRole("button", { name: "Override" }).click();
      await page.getByLabel("Why").fill(`away ${stamp}`);
      await page.getByRole("button", { name: "Put on call" }).click();
      const override = tools.locator('[data-testid="override"]', { hasText: `away ${stamp}` });
      await override.waitFor();
      await override.getByRole("button").click();
      await override.waitFor({ state: "detached" });
      await tools.getByRole("button", { name: "Ask for a swap" }).click();
      await page.getByLabel("Why").fill(`swap ${stamp}`);
      await page.getByRole("button", { name: "Ask", exact: true }).click();
      const swap = tools.locator('[data-testid="swap"]', { hasText: `swap ${stamp}` });
      await swap.waitFor();
      await swap.getByRole("button", { name: "Withdraw" }).click();
      await swap.waitFor({ state: "detached" });
      await noErrors(page);
    },
  ],
  [
    "inbox: the page that somebody received",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/inbox`);
      const item = page.locator(".inbox-item", { hasText: alertName }).first();
      await item.waitFor();
      await item.click();
      await waitText(page, ".message-body", new RegExp(`${alertName}|${stamp}`));
      await shot("inbox");
      await page.locator(".message").getByRole("link", { name: "Open incident" }).click();
      await page.locator(".timeline-item").first().waitFor();
      await noErrors(page);
    },
  ],
  [
    "palette: goes to a service's traces",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/`);
      await waitText(page, "h1", "Overview");
      await page.keyboard.press("Control+k");
      await page.getByLabel("Go to", { exact: true }).fill(`${seen.service} traces`);
      await waitText(page, ".palette-list li", seen.service);
      await shot("palette");
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.pathname === "/traces" && url.searchParams.get("service") === seen.service);
    },
  ],
  [
    "time range: absolute, in the address, carried along",
    async ({ base, page, shot }) => {
      await page.goto(`${base}/logs`);
      await page.locator(".time-current").click();
      await page.locator(".time-menu").getByRole("button", { name: "Last 6 hours" }).click();
      await page.waitForURL((url) => url.searchParams.get("from") === "now-6h");
      await page.locator("nav .nav-item", { hasText: "Traces" }).click();
      await page.waitForURL((url) => url.pathname === "/traces" && url.searchParams.get("from") === "now-6h");
      await page.locator(".time-current").click();
      await page.getByLabel("From", { exact: true }).fill("2026-01-01 00:00:00");
      await page.getByLabel("To", { exact: true }).fill("2025-01-01 00:00:00");
      await waitText(page, ".form-fault", "The start is not before the end");
      await shot("time-range");
    },
  ],
  [
    "a refusal is told in the server's words and can be tried again",
    async ({ base, page, expectFailure }) => {
      expectFailure(/^\/loki\/api\/v1\/query_range$/);
      const refuse = (route) => route.fulfill({ status: 429, contentType: "text/plain", body: "over the limit of this test" });
      await page.route("**/loki/api/v1/query_range*", refuse);
      await page.goto(`${base}/logs`);
      await waitText(page, ".error-box", "over the limit of this test");
      await page.unroute("**/loki/api/v1/query_range*", refuse);
      await page.getByRole("button", { name: "Try again" }).first().click();
      await page.locator(".log-row").first().waitFor();
      await noErrors(page);
    },
  ],
  [
    "small screens: the menu opens and leads on",
    async ({ base, page, shot }) => {
      await page.setViewportSize({ width: 420, height: 800 });
      await page.goto(`${base}/logs`);
      await page.locator(".log-row").first().waitFor();
      await page.locator('.topbar button[title="Menu"]').click();
      await page.locator("nav .nav-item", { hasText: "Alerts" }).click();
      await waitText(page, "h1", "Alerts");
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
      await shot("small");
      await page.setViewportSize({ width: 1440, height: 900 });
    },
  ],
  [
    "an address that is no page says so",
    async ({ base, page }) => {
      await page.goto(`${base}/incidents/a/b/c`);
      await waitText(page, ".empty", "No such page");
    },
  ],
];
