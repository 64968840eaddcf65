import { useCallback, useMemo, useState } from "react";
import { labelValues, metricMetadata, type MetricMetadata } from "../api/prometheus";
import { useQuery } from "../hooks/useQuery";
import { useTime } from "../hooks/useTime";
import { plural } from "../lib/format";
import { Dialog, Empty, ErrorBox, Skeleton, Tag } from "./basics";
import { VirtualList } from "./VirtualList";

/** A first query for a metric: counters as a rate, histograms as a quantile. */
export function firstQuery(name: string, metadata: MetricMetadata | undefined): string {
  const type = metadata?.type ?? "";
  if (name.endsWith("_bucket")) return `histogram_quantile(0.95, sum by (le) (rate(${name}[5m])))`;
  if (type === "histogram" && !/_(sum|count)$/.test(name)) return `histogram_quantile(0.95, sum(rate(${name}[5m])))`;
  if (type === "counter" || /_(total|sum|count)$/.test(name)) return `rate(${name}[5m])`;
  return name;
}

/** Metadata is filed under the family's name, series carry suffixes. */
function familyOf(name: string, known: Map<string, MetricMetadata>): MetricMetadata | undefined {
  return known.get(name) ?? known.get(name.replace(/_(bucket|sum|count|total)$/, ""));
}

export function MetricBrowser({ onClose, onPick }: { onClose: () => void; onPick: (expr: string) => void }) {
  const { interval } = useTime();
  const [text, setText] = useState("");
  const names = useQuery("metric-names", (signal) => labelValues("__name__", interval, signal));
  const metadata = useQuery("metric-metadata", metricMetadata);

  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return (names.data ?? []).filter((name) => words.every((word) => name.toLowerCase().includes(word)));
  }, [names.data, text]);
  const keyOf = useCallback((name: string) => name, []);

  return (
    <Dialog title={names.data ? `${plural(names.data.length, "metric")}` : "Metrics"} onClose={onClose} wide>
      <input
        className="palette-input"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          const first = found[0];
          if (event.key === "Enter" && first) onPick(firstQuery(first, familyOf(first, metadata.data ?? new Map())));
        }}
        placeholder="Filter by words of the name"
        aria-label="Filter metrics"
        autoFocus
        spellCheck={false}
      />
      {names.error && <ErrorBox error={names.error} onRetry={names.refetch} />}
      {!names.data && names.loading && <Skeleton />}
      {names.data && found.length === 0 && <Empty title={text ? "No metric has such a name" : "No metrics in this time range"} />}
      {found.length > 0 && (
        <VirtualList
          className="metric-list"
          items={found}
          itemKey={keyOf}
          estimate={44}
          fixed
          label="Metrics"
          render={(name) => {
            const about = familyOf(name, metadata.data ?? new Map());
            return (
              <button type="button" className="metric-item" onClick={() => onPick(firstQuery(name, about))}>
                <span className="metric-item-head">
                  <span className="mono">{name}</span>
                  {about?.type && about.type !== "unknown" && <Tag>{about.type}</Tag>}
                </span>
                <small title={about?.help}>{about?.help || " "}</small>
              </button>
            );
          }}
        />
      )}
    </Dialog>
  );
}
