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
