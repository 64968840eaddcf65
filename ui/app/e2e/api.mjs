/** Belfry's APIs, asked directly, to know what the pages ought to show. */
export class Api {
  constructor(base) {
    this.base = base;
  }

  async get(path, params = {}) {
    const response = await fetch(`${this.base}${path}?${new URLSearchParams(params)}`);
    if (!response.ok) throw new Error(`${path}: status ${response.status}: ${(await response.text()).slice(0, 300)}`);
    return response.json();
  }

  async post(path, body) {
    const response = await fetch(this.base + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: status ${response.status}: ${(await response.text()).slice(0, 300)}`);
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  }

  async services() {
    return (await this.get("/jaeger/api/services")).data ?? [];
  }

  async traces(query, limit = 20) {
    const now = Math.floor(Date.now() / 1000);
    const answer = await this.get("/tempo/api/search", { q: query, start: now - 1800, end: now + 1, limit });
    return answer.traces ?? [];
  }

  async lines(query, limit = 20) {
    const now = BigInt(Date.now()) * 1_000_000n;
    const answer = await this.get("/loki/api/v1/query_range", {
      query,
      start: String(now - 1_800_000_000_000n),
      end: String(now),
      limit: String(limit),
      direction: "backward",
    });
    return (answer.data?.result ?? []).flatMap((stream) => stream.values.map((value) => value[1]));
  }

  async metricNames() {
    return (await this.get("/api/v1/label/__name__/values")).data ?? [];
  }

  /**
   * Sends a trace over OTLP: a root, ten parts below it, and all other spans
   * below those in turn, one after the other in time. Returns its id.
   */
  async sendTrace(count) {
    const hex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const traceId = hex(16);
    const ids = Array.from({ length: count }, () => hex(8));
    const start = BigInt(Date.now() - 20_000) * 1_000_000n;
    const spans = ids.map((spanId, i) => {
      const from = start + BigInt(i) * 1_000_000n;
      const length = i <= 10 ? BigInt(count - i) * 1_000_000n : 900_000n;
      return {
        traceId,
        spanId,
        parentSpanId: i === 0 ? "" : i <= 10 ? ids[0] : ids[1 + Math.floor(((i - 11) * 10) / (count - 11))],
        name: `work ${i}`,
        kind: 1,
        startTimeUnixNano: String(from),
        endTimeUnixNano: String(from + length),
        status: i % 97 === 50 ? { code: 2, message: "failed" } : {},
      };
    });
    const attributes = [{ key: "service.name", value: { stringValue: "browser-test" } }];
    await this.post("/v1/traces", { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ scope: { name: "e2e" }, spans }] }] });
    return traceId;
  }

  async incidents() {
    return (await this.get("/api/belfry/v1/incidents", { limit: "100" })).incidents ?? [];
  }
}

/** Polls until check returns something true, and returns it; says what it waited for when it gives up. */
export async function until(what, check, patienceMs = 90_000) {
  const end = Date.now() + patienceMs;
  let last = "";
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
      last = "not yet";
    } catch (error) {
      last = String(error.message ?? error);
    }
    if (Date.now() > end) throw new Error(`waited ${patienceMs / 1000} s for ${what}: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
