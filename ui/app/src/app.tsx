import { Component, lazy, Suspense, useEffect, type ComponentType, type ReactNode } from "react";
import { Button, Empty, Link, Skeleton } from "./components/basics";
import { Frame } from "./components/frame";
import { TimeProvider } from "./hooks/useTime";
import { navigate, usePath } from "./lib/router";
import { fromPrometheusGraph } from "./lib/urlstate";
import { matchRoute, type PageName } from "./routes";

function GraphRedirect() {
  useEffect(() => {
    navigate("/explore/metrics" + fromPrometheusGraph(window.location.search), { replace: true });
  }, []);
  return null;
}

/** Each page is a chunk of its own, fetched when first opened. */
const pages: Record<PageName, ComponentType<{ id: string }>> = {
  overview: lazy(() => import("./pages/overview")),
  metrics: lazy(() => import("./pages/metrics")),
  logs: lazy(() => import("./pages/logs")),
  traces: lazy(() => import("./pages/traces")),
  trace: lazy(() => import("./pages/trace")),
  alerts: lazy(() => import("./pages/alerts")),
  incidents: lazy(() => import("./pages/incidents")),
  incident: lazy(() => import("./pages/incident")),
  analytics: lazy(() => import("./pages/analytics")),
  oncall: lazy(() => import("./pages/oncall")),
  inbox: lazy(() => import("./pages/inbox")),
  graph: GraphRedirect,
};

export function App() {
  const path = usePath();
  const match = matchRoute(path);
  const Page = match ? pages[match.page] : null;
  return (
    <TimeProvider>
      <Frame>
        <Guard key={path}>
          <Suspense fallback={<div className="page"><Skeleton rows={6} /></div>}>
            {Page && match ? (
              <Page id={match.id} key={match.page + match.id} />
            ) : (
              <div className="page">
                <Empty title="No such page">
                  <Link to="/">Back to the overview</Link>
                </Empty>
              </div>
            )}
          </Suspense>
        </Guard>
      </Frame>
    </TimeProvider>
  );
}

/** Keeps a fault in one page from taking the navigation with it. */
class Guard extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="page">
        <Empty icon="error" title="This page has a fault">
          <p>{this.state.error.message}</p>
          <Button onClick={() => window.location.reload()}>Reload</Button>
        </Empty>
      </div>
    );
  }
}
