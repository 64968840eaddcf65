// A stand-in for Belfry while its backend is being built: the web app from
// ui/dist under the real handler's policy, and APIs that answer with made-up
// data. For looking at pages during development only; no test uses it.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../../../dist", import.meta.url));
const port = Number(process.env.PORT ?? 4399);
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const services = ["storefront", "catalog", "cart", "checkout", "payment", "shipping", "inventory"];
const hex = (n, seed) => Array.from({ length: n }, (_, i) => ((Math.imul(seed + 1, 2654435761) >>> (i % 24)) ^ (i * 7 + seed)) & 15).map((d) => d.toString(16)).join("");
const noise = (x) => { const v = Math.sin(x * 12.9898) * 43758.5453; return v - Math.floor(v); };

function matrix(params) {
  const [start, end, step] = ["start", "end", "step"].map((k) => Number(params.get(k)));
  const q = params.get("query") ?? "";
  const count = q.includes("by") ? 7 : 1;
  return {
    resultType: "matrix",
    result: Array.from({ length: count }, (_, s) => {
      const values = [];
      for (let t = start; t <= end; t += step) values.push([t, String((s + 1) * 4 + 3 * Math.sin(t / 300 + s) + noise(t + s))]);
      return { metric: count > 1 ? { job: "shop", service_name: services[s] } : {}, values };
    }),
  };
}

function logs(params) {
  const start = BigInt(params.get("start")), end = BigInt(params.get("end"));
  const limit = Number(params.get("limit") ?? 100);
  const lines = ["order placed", "payment declined by issuer: insufficient funds", "GET /api/products 200 in 12ms", '{"event":"cart.updated","items":3,"user":{"id":"u-1029","tier":"gold"}}', "retrying shipment label, attempt 2", "cache miss for product BEL-014"];
  const levels = ["info", "error", "info", "debug", "warn", "debug"];
  const streams = new Map();
  const width = 700_000_000n;
  let at = (end / width) * width;
  for (let i = 0; i < limit && at >= start; i++, at -= width) {
    const n = Number((at / width) % 1000003n);
    const k = Math.floor(noise(n) * 6), s = services[n % 7];
    if (at >= end) { i--; continue; }
    if (!streams.has(s)) streams.set(s, { stream: { service_name: s, deployment_environment_name: "demo" }, values: [] });
    streams.get(s).values.push([String(at), lines[k], { structuredMetadata: { detected_level: levels[k], severity_text: levels[k].toUpperCase(), trace_id: hex(32, n), span_id: hex(16, n), scope_name: "belfry/shop", code_line_number: "42" } }]);
  }
  return { resultType: "streams", result: [...streams.values()] };
}

function volume(params) {
  const start = Number(BigInt(params.get("start")) / 1000000n) / 1000, end = Number(BigInt(params.get("end")) / 1000000n) / 1000;
  const step = parseFloat(params.get("step"));
  return { resultType: "matrix", result: ["info", "debug", "warn", "error"].map((level, s) => { const values = []; for (let t = start; t <= end; t += step) values.push([t, String(Math.round((60 - s * 18) * (0.6 + noise(t + s))))]); return { metric: { detected_level: level }, values }; }) };
}

function trace(id, count = 60) {
  const now = BigInt(Date.now() - 60000) * 1000000n;
  const groups = new Map();
  for (let i = 0; i < count; i++) {
    const s = services[i === 0 ? 0 : Math.floor(noise(i) * 7)];
    const parent = i === 0 ? "" : hex16(Math.floor(noise(i * 3) * i));
    const start = now + BigInt(i) * 3000000n, dur = BigInt(Math.round((count - i) * 3e6 * (0.4 + noise(i)))) ;
    if (!groups.has(s)) groups.set(s, []);
    groups.get(s).push({ traceId: id, spanId: hex16(i), parentSpanId: parent, name: ["GET /api/products", "POST /checkout", "SELECT stock", "charge card", "reserve"][i % 5], kind: i % 2 ? 3 : 2, startTimeUnixNano: String(start), endTimeUnixNano: String(start + dur), attributes: [{ key: "http.request.method", value: { stringValue: "GET" } }, { key: "http.response.status_code", value: { intValue: i % 9 === 4 ? "500" : "200" } }], status: i % 9 === 4 ? { code: 2, message: "upstream timed out" } : {}, events: i % 9 === 4 ? [{ name: "exception", timeUnixNano: String(start + dur / 2n), attributes: [{ key: "exception.type", value: { stringValue: "TimeoutError" } }, { key: "exception.stacktrace", value: { stringValue: "at charge()\n  at pay()" } }] }] : [] });
  }
  return { trace: { resourceSpans: [...groups].map(([s, spans]) => ({ resource: { attributes: [{ key: "service.name", value: { stringValue: s } }, { key: "host.name", value: { stringValue: "demo-1" } }] }, scopeSpans: [{ scope: { name: "otelhttp", version: "0.60" }, spans }] })) } };
}
const hex16 = (i) => (0xabc00000 + i).toString(16).padStart(16, "0");

const ago = (s) => new Date(Date.now() - s * 1000).toISOString();
const incidentOf = (n, status) => ({ id: `01J${n}`, number: n, source: "alertmanager", receiver: "on-call", title: ["Payments are declined", "Catalog is slow", "Out of stock"][n % 3], summary: "17 declined payments in 5 minutes", severity: ["critical", "warning", "info"][n % 3], group_labels: { alertname: "PaymentErrors", service_name: "payment" }, labels: { alertname: "PaymentErrors" }, annotations: {}, alerts_firing: status === "resolved" ? 0 : 1, alerts_total: 2, opened_at: ago(n * 700), updated_at: ago(60), status, policy: "shop", step: 1, next_action: status === "triggered" ? "step" : "", next_at: status === "triggered" ? ago(-90) : undefined, acknowledged_by: status !== "triggered" ? "ada" : "", acknowledged_at: status !== "triggered" ? ago(n * 700 - 120) : undefined, resolved_at: status === "resolved" ? ago(n * 700 - 900) : undefined, assignees: [] });
const statuses = ["resolved", "triggered", "acknowledged", "resolved", "resolved"];
const timeline = [["opened", "", "Opened by receiver on-call"], ["alert_fired", "", "PaymentErrors fired: 17"], ["step", "", "Step 1 of round 1"], ["notified", "", "Told Ada Ringer by inbox", { person: "ada", method: "inbox" }], ["delivered", "", "inbox took the message", { person: "ada", method: "inbox" }], ["not_notified", "", "Bo Carillon is not told: not on call"], ["delivery_failed", "", "webhook answered 503", { channel: "ops", method: "webhook", error: "503" }], ["acknowledged", "ada", "Acknowledged"], ["note", "ada", "Looking at the card issuer's status page."]];

const routes = [
  [/^\/api\/belfry\/v1\/incidents$/, (p) => ({ incidents: statuses.map((s, n) => incidentOf(n + 1, s)).filter((i) => p.getAll("status").length === 0 || p.getAll("status").includes(i.status)), next: "" })],
  [/^\/api\/belfry\/v1\/incidents\/01J(\d+)$/, (_p, m) => ({ incident: incidentOf(Number(m[1]), statuses[m[1] - 1]), alerts: [{ fingerprint: "a", status: "firing", labels: { alertname: "PaymentErrors", service_name: "payment", severity: "critical" }, annotations: { summary: "Payments are declined" }, starts_at: ago(700) }, { fingerprint: "b", status: "resolved", labels: { alertname: "PaymentErrors", service_name: "checkout" }, annotations: {}, starts_at: ago(900), ends_at: ago(300) }], timeline: timeline.map(([kind, actor, message, detail], i) => ({ seq: i + 1, at: ago(700 - i * 20), kind, actor, message, detail: detail ?? {} })) })],
  [/^\/api\/belfry\/v1\/people$/, () => ({ people: [{ id: "ada", name: "Ada Ringer" }, { id: "bo", name: "Bo Carillon" }] })],
  [/^\/api\/belfry\/v1\/oncall$/, () => ({ schedules: [{ schedule: { id: "primary", name: "Primary", time_zone: "Europe/Berlin" }, people: ["ada"], until: ago(-40000) }, { schedule: { id: "night", name: "Night watch", time_zone: "UTC" }, people: [], until: ago(-4000) }] })],
  [/^\/api\/belfry\/v1\/schedules\/(\w+)\/shifts$/, (p, m) => { const shifts = []; let t = Date.parse(p.get("from")), i = 0; const end = Date.parse(p.get("to")); while (t < end) { const n = Math.min(end, (Math.floor(t / 864e5) + 1) * 864e5 + 9 * 36e5); shifts.push({ start: new Date(t).toISOString(), end: new Date(n).toISOString(), person: m[1] === "night" && i % 3 === 2 ? "" : ["ada", "bo"][i % 2], source: { layer: "weekdays" } }); t = n; i++; } return { shifts }; }],
  [/^\/api\/belfry\/v1\/inbox$/, () => ({ messages: Array.from({ length: 9 }, (_, i) => ({ id: `m${i}`, recipient: i % 2 ? "bo" : "ada", incident_id: "01J2", kind: i % 4 === 3 ? "resolved" : "page", severity: i % 3 ? "critical" : "warning", title: i % 4 === 3 ? "Resolved: Payments are declined" : "Payments are declined", body: "17 declined payments in 5 minutes.\n\nService: payment\nValue: 17 (threshold 5)\nStep 1 of round 1", links: { incident: "/incidents/01J2", acknowledge: "/api/belfry/v1/ack/x" }, at: ago(i * 340 + 20), read_at: i > 2 ? ago(10) : undefined })), next: "" })],
  [/^\/api\/belfry\/v1\//, () => ({})],
  [/^\/api\/v1\/query_range$/, (p) => ({ status: "success", data: matrix(p) })],
  [/^\/api\/v1\/query$/, (p) => ({ status: "success", data: { resultType: "vector", result: services.map((s, i) => ({ metric: { service_name: s }, value: [Number(p.get("time")), String(i * 3.7 + 0.2)] })) } })],
  [/^\/api\/v1\/query_exemplars$/, (p) => ({ status: "success", data: [{ seriesLabels: { service_name: "cart" }, exemplars: Array.from({ length: 12 }, (_, i) => ({ labels: { trace_id: hex(32, i) }, value: String(3 + i), timestamp: Number(p.get("start")) + ((i + 1) / 13) * (Number(p.get("end")) - Number(p.get("start"))) })) }] })],
  [/^\/api\/v1\/label\/__name__\/values$/, () => ({ status: "success", data: ["belfry_collector_records_total", "http_server_request_duration_seconds_bucket", "http_server_request_duration_seconds_count", "process_cpu_seconds_total", "up"] })],
  [/^\/api\/v1\/label\//, () => ({ status: "success", data: services })],
  [/^\/api\/v1\/labels$/, () => ({ status: "success", data: ["__name__", "service_name", "job"] })],
  [/^\/api\/v1\/series$/, () => ({ status: "success", data: services.map((s) => ({ __name__: "up", service_name: s })) })],
  [/^\/api\/v1\/metadata$/, () => ({ status: "success", data: { up: [{ type: "gauge", help: "Whether the last scrape worked", unit: "" }], process_cpu_seconds_total: [{ type: "counter", help: "CPU time used", unit: "s" }] } })],
  [/^\/api\/v1\/rules$/, () => ({ status: "success", data: { groups: [{ name: "shop", file: "rules.yaml", interval: 15, type: "logs", rules: [{ type: "alerting", name: "PaymentErrors", state: "firing", query: 'sum by (service_name) (count_over_time({service_name="payment"} |= "declined" [5m])) > 5', duration: 60, labels: { severity: "critical" }, annotations: { summary: "Payments are declined" }, health: "ok", lastEvaluation: new Date().toISOString(), evaluationTime: 0.002, alerts: [{ labels: { alertname: "PaymentErrors", service_name: "payment" }, annotations: {}, state: "firing", activeAt: new Date(Date.now() - 4e5).toISOString(), value: "17" }] }] }] } })],
  [/^\/loki\/api\/v1\/query_range$/, (p) => ({ status: "success", data: /count_over_time|rate/.test(p.get("query")) ? volume(p) : logs(p) })],
  [/^\/loki\/api\/v1\/labels$/, () => ({ status: "success", data: ["service_name", "deployment_environment_name"] })],
  [/^\/loki\/api\/v1\/label\//, () => ({ status: "success", data: services })],
  [/^\/jaeger\/api\/services$/, () => ({ data: services })],
  [/^\/jaeger\/api\/services\/.*\/operations$/, () => ({ data: ["GET /api/products", "POST /checkout"] })],
  [/^\/tempo\/api\/v2\/traces\/(\w+)$/, (_p, m) => trace(m[1], m[1].startsWith("ffff") ? 10000 : 60)],
  [/^\/tempo\/api\/v2\/search\/tags$/, () => ({ scopes: [{ name: "span", tags: ["http.request.method"] }, { name: "resource", tags: ["service.name"] }] })],
  [/^\/tempo\/api\/search$/, (p) => ({ traces: Array.from({ length: 60 }, (_, i) => ({ traceID: hex(32, i), rootServiceName: services[i % 3], rootTraceName: ["GET /", "POST /checkout", "GET /products"][i % 3], startTimeUnixNano: String(BigInt(Math.round(Number(p.get("end")) * 1000 - noise(i) * (Number(p.get("end")) - Number(p.get("start"))) * 1000)) * 1000000n), durationMs: Math.round(5 + 900 * noise(i * 5) ** 4), spanSets: [{ matched: 1 + (i % 7), spans: [] }], serviceStats: { storefront: { spanCount: 3, errorCount: i % 11 === 0 ? 1 : 0 }, cart: { spanCount: 4 } } })) })],
  [/^\/alertmanager\/api\/v2\/alerts$/, () => [{ fingerprint: "a1", labels: { alertname: "PaymentErrors", severity: "critical", service_name: "payment" }, annotations: { summary: "Payments are declined" }, status: { state: "active", silencedBy: [], inhibitedBy: [] }, startsAt: new Date(Date.now() - 4e5).toISOString(), receivers: [{ name: "on-call" }], generatorURL: "" }]],
  [/^\/alertmanager\/api\/v2\/silences$/, () => []],
];

createServer((req, res) => {
  const url = new URL(req.url, "http://x");
  let body = "";
  req.on("data", (chunk) => (body += chunk));
  req.on("end", () => {
    const params = req.method === "POST" ? new URLSearchParams(body) : url.searchParams;
    for (const [pattern, answer] of routes) {
      const match = pattern.exec(url.pathname);
      if (match) {
        res.setHeader("Content-Type", "application/json");
        res.end(JSON.stringify(answer(params, match)));
        return;
      }
    }
    res.setHeader("Content-Security-Policy", policy);
    let path = join(dist, normalize(url.pathname));
    if (/^\/(api|loki|tempo|jaeger|alertmanager)\//.test(url.pathname)) {
      res.statusCode = 404;
      res.end("not found");
      return;
    }
    if (!path.startsWith(dist) || !existsSync(path) || url.pathname === "/" || !extname(path)) path = join(dist, "index.html");
    res.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
    createReadStream(path).pipe(res);
  });
}).listen(port, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${port}\n`));
