import type { ReactNode } from "react";
import { activeAlerts } from "../api/alertmanager";
import { incidents, onCallNow, people } from "../api/belfry";
import { ingestRates, serviceHealth, type ServiceHealth } from "../api/red";
import { services as tracedServices } from "../api/traces";
import { Card, Dot, Empty, ErrorBox, Link, PageHead, Progress, Skeleton, Tag } from "../components/basics";
import { IncidentRow } from "../components/IncidentRow";
import { Sparkline } from "../components/Sparkline";
import { TimePicker } from "../components/TimePicker";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { assignColors } from "../lib/colors";
import { formatNanos, formatNumber, formatPercent, plural } from "../lib/format";
import { addStreamMatcher } from "../lib/logql";
import { chooseStep } from "../lib/time";

export default function OverviewPage() {
  const time = useTime();
  const open = useQuery(timedKey(time, "open-incidents"), (signal) =>
    incidents({ statuses: ["triggered", "acknowledged"], search: "", cursor: "", limit: 6 }, signal),
  );
  const alerts = useQuery(timedKey(time, "am-alerts"), activeAlerts);
  const onCall = useQuery(timedKey(time, "oncall"), onCallNow);
  const known = useQuery("people", people);
  const nameOf = (id: string) => known.data?.find((person) => person.id === id)?.name ?? id;

  const waiting = open.data?.items.filter((one) => one.status === "triggered").length ?? 0;
  const firing = alerts.data?.filter((alert) => alert.state === "active").length ?? 0;
  const covered = onCall.data?.filter((one) => one.people.length > 0) ?? [];

  return (
    <div className="page">
      <PageHead title="Overview">
        <TimePicker />
      </PageHead>
      <div className="tiles">
        <Tile
          label="Open incidents"
          to="/incidents"
          tone={waiting > 0 ? "bad" : open.data?.items.length ? "warn" : "good"}
          value={open.data ? (open.data.next ? `${open.data.items.length}+` : String(open.data.items.length)) : null}
          note={open.data ? (waiting > 0 ? `${waiting} not acknowledged` : open.data.items.length > 0 ? "all acknowledged" : "all quiet") : ""}
          error={open.error}
        />
        <Tile
          label="Alerts firing"
          to="/alerts"
          tone={firing > 0 ? "warn" : "good"}
          value={alerts.data ? String(firing) : null}
          note={alerts.data ? `${alerts.data.length - firing} silenced or inhibited` : ""}
          error={alerts.error}
        />
        <Tile
          label="On call now"
          to="/oncall"
          tone={onCall.data && onCall.data.length > covered.length ? "warn" : "neutral"}
          value={onCall.data ? covered.flatMap((one) => one.people.map(nameOf)).join(", ") || (onCall.data.length > 0 ? "nobody" : "–") : null}
          note={onCall.data ? (onCall.data.length === 0 ? "no schedules" : onCall.data.map((one) => one.schedule.name).join(", ")) : ""}
          error={onCall.error}
          small
        />
        <IngestTile />
      </div>
      {open.data && open.data.items.length > 0 && (
        <Card title="Open incidents" actions={<Link to="/incidents">All incidents</Link>} flush>
          <ul className="incident-list">
            {open.data.items.map((one) => (
              <IncidentRow key={one.id} incident={one} now={time.now} nameOf={nameOf} />
            ))}
          </ul>
        </Card>
      )}
      <Services />
    </div>
  );
}

function Tile({
  label,
  value,
  note,
  to,
  tone,
  error,
  small,
}: {
  label: string;
  value: string | null;
  note: ReactNode;
  to: string;
  tone: "neutral" | "good" | "warn" | "bad";
  error: Error | null;
  small?: boolean;
}) {
  return (
    <Link to={to} className={`tile tile-${tone}`}>
      <span className="tile-label">{label}</span>
      <b className={small ? "small-value" : ""} title={value ?? ""}>
        {error && value === null ? "?" : (value ?? "…")}
      </b>
      <small title={error?.message}>{error && value === null ? error.message : note}</small>
    </Link>
  );
}

function IngestTile() {
  const time = useTime();
  const step = chooseStep(time.interval, 60, 15_000);
  const rates = useQuery(timedKey(time, "ingest", step), (signal) => ingestRates(time.interval, step, signal));
  const rejected = rates.data?.reduce((sum, rate) => sum + rate.rejected, 0) ?? 0;
  return (
    <div className="tile tile-wide">
      <span className="tile-label">
        Belfry takes in {rejected > 0 && <Tag tone="warn">{formatNumber(rejected)}/s refused</Tag>}
      </span>
      {rates.error && !rates.data && <small>{rates.error.message}</small>}
      {rates.data?.length === 0 && <small>Its own metrics have not arrived yet.</small>}
      <div className="ingest">
        {rates.data?.map((rate) => (
          <span key={rate.signal}>
            <span>
              <b>{formatNumber(rate.accepted)}</b>
              <small>/s {rate.signal}</small>
            </span>
            <Sparkline values={rate.trend} width={92} height={22} />
          </span>
        ))}
      </div>
    </div>
  );
}

function Services() {
  const time = useTime();
  const step = chooseStep(time.interval, 60, 15_000);
  const health = useQuery(timedKey(time, "health", step), (signal) => serviceHealth(time.interval, step, signal));
  const traced = useQuery(timedKey(time, "services"), tracedServices, "services");
  const measured = health.data ?? [];
  const others = (traced.data ?? []).filter((service) => !measured.some((one) => one.service === service));
  const rows: ServiceHealth[] = [
    ...measured,
    ...others.map((service) => ({ service, rate: null, errors: null, p95: null, trend: [], source: "" })),
  ].sort((a, b) => a.service.localeCompare(b.service));
  const colors = assignColors(rows.map((row) => row.service));
  const settled = (health.data ?? health.error) && (traced.data ?? traced.error);

  return (
    <Card title="Services" actions={rows.length > 0 && <span className="muted small">{plural(rows.length, "service")}</span>} flush>
      <Progress active={health.loading || traced.loading} />
      {health.error && (
        <div className="pad">
          <ErrorBox error={health.error} onRetry={health.refetch} />
        </div>
      )}
      {traced.error && (
        <div className="pad">
          <ErrorBox error={traced.error} onRetry={traced.refetch} />
        </div>
      )}
      {!settled && rows.length === 0 && <Skeleton rows={5} />}
      {settled && rows.length === 0 && !health.error && (
        <Empty icon="traces" title="No services yet">
          <p>
            Point an OpenTelemetry SDK or Collector at this host: OTLP over gRPC on port <code>4317</code>, over HTTP on port{" "}
            <code>4318</code>. Services appear here by themselves.
          </p>
        </Empty>
      )}
      {rows.length > 0 && (
        <div className="table-scroll">
          <table>
            <thead>
              <tr>
                <th>Service</th>
                <th className="num">Requests/s</th>
                <th />
                <th className="num">Errors</th>
                <th className="num">p95</th>
                <th>Look at</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.service}>
                  <td>
                    <span className="service-name">
                      <Dot color={colors.get(row.service) ?? ""} />
                      <b>{row.service}</b>
                    </span>
                  </td>
                  <td className="num mono">{row.rate === null ? <span className="faint">–</span> : formatNumber(row.rate)}</td>
                  <td>
                    <Sparkline values={row.trend} color={colors.get(row.service) ?? ""} />
                  </td>
                  <td className={`num mono ${row.errors && row.errors >= 0.01 ? (row.errors >= 0.05 ? "bad" : "warn") : ""}`}>
                    {row.errors === null ? <span className="faint">–</span> : formatPercent(row.errors)}
                  </td>
                  <td className="num mono nowrap">{row.p95 === null ? <span className="faint">–</span> : formatNanos(row.p95 * 1e9)}</td>
                  <td>
                    <span className="target-links">
                      <Link to="/traces" params={{ service: row.service }}>
                        Traces
                      </Link>
                      <Link to="/logs" params={{ q: addStreamMatcher("{}", "service_name", "=", row.service) }}>
                        Logs
                      </Link>
                      <Link to="/traces" params={{ service: row.service, errors: "1" }}>
                        Errors
                      </Link>
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}
