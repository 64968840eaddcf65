import { useState } from "react";
import { labelNames, labelValues } from "../api/loki";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { Breakable, Empty, ErrorBox, Skeleton } from "./basics";
import { Icon } from "./icons";

/** Stream labels and their values in the time range; a value becomes a matcher. */
export function LabelBrowser({ onPick }: { onPick: (label: string, value: string) => void }) {
  const time = useTime();
  const names = useQuery(timedKey(time, "log-labels"), (signal) => labelNames(time.interval, signal));
  const [open, setOpen] = useState("service_name");
  return (
    <aside className="label-browser" aria-label="Label browser">
      <h2>Labels</h2>
      {names.error && <ErrorBox error={names.error} onRetry={names.refetch} />}
      {!names.data && names.loading && <Skeleton />}
      {names.data?.length === 0 && <Empty icon="logs" title="No labels yet" />}
      <ul>
        {names.data?.map((name) => (
          <li key={name}>
            <button
              type="button"
              className="label-name"
              aria-expanded={open === name}
              onClick={() => setOpen(open === name ? "" : name)}
            >
              <Icon name={open === name ? "down" : "chevron"} size={12} />
              <span className="mono"><Breakable text={name} /></span>
            </button>
            {open === name && <Values label={name} onPick={(value) => onPick(name, value)} />}
          </li>
        ))}
      </ul>
    </aside>
  );
}

const shownAtFirst = 200;

function Values({ label, onPick }: { label: string; onPick: (value: string) => void }) {
  const time = useTime();
  const [filter, setFilter] = useState("");
  const values = useQuery(timedKey(time, "log-values", label), (signal) => labelValues(label, time.interval, signal), label);
  if (values.error) return <ErrorBox error={values.error} onRetry={values.refetch} />;
  if (!values.data) return <p className="faint small pad-left">Loading…</p>;
  const found = values.data.filter((value) => value.toLowerCase().includes(filter.toLowerCase()));
  return (
    <div className="label-values">
      {values.data.length > 12 && (
        <input value={filter} onChange={(event) => setFilter(event.target.value)} placeholder="Filter values" aria-label={`Filter values of ${label}`} />
      )}
      {found.slice(0, shownAtFirst).map((value) => (
        <button key={value} type="button" className="label-pick mono" title={value} onClick={() => onPick(value)}>
          {value || '""'}
        </button>
      ))}
      {found.length > shownAtFirst && <p className="faint small">{found.length - shownAtFirst} more: filter to find them</p>}
    </div>
  );
}
