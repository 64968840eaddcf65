/**
 * Every page of the app. The first path segment of each is also listed in the
 * Go handler (a test there reads this file), and none may be the path of an
 * API: /metrics, for one, is Belfry's own exposition.
 */
export const routes = [
  { path: "/", page: "overview" },
  { path: "/explore/metrics", page: "metrics" },
  { path: "/logs", page: "logs" },
  { path: "/traces", page: "traces" },
  { path: "/traces/:id", page: "trace" },
  { path: "/alerts", page: "alerts" },
  { path: "/incidents", page: "incidents" },
  { path: "/incidents/analytics", page: "analytics" },
  { path: "/incidents/:id", page: "incident" },
  { path: "/oncall", page: "oncall" },
  { path: "/inbox", page: "inbox" },
  // Prometheus' own addresses of its query page, which its rule engine writes
  // into every alert's generator URL.
  { path: "/graph", page: "graph" },
  { path: "/query", page: "graph" },
] as const;

export type PageName = (typeof routes)[number]["page"];

export interface Match {
  page: PageName;
  id: string;
}

/** Finds the page for a path; the id is that of a detail page, else empty. */
export function matchRoute(path: string): Match | null {
  const segments = path.split("/").filter(Boolean);
  for (const route of routes) {
    const wanted = route.path.split("/").filter(Boolean);
    if (wanted.length !== segments.length) continue;
    let id = "";
    const fits = wanted.every((part, i) => {
      const segment = segments[i] ?? "";
      if (part !== ":id") return part === segment;
      id = safeDecode(segment);
      return true;
    });
    if (fits) return { page: route.page, id };
  }
  return null;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
