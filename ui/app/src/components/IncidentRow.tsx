import type { Incident, IncidentStatus } from "../api/belfry";
import { plural } from "../lib/format";
import { formatAgo, formatDateTime, formatDuration } from "../lib/time";
import { LabelTags, Link, Tag, type Tone } from "./basics";

export const statusTone: Record<IncidentStatus, Tone> = { triggered: "bad", acknowledged: "warn", resolved: "good" };

export function severityTone(severity: string | undefined): Tone {
  switch ((severity ?? "").toLowerCase()) {
    case "critical":
    case "page":
    case "error":
    case "high":
      return "bad";
    case "warning":
    case "warn":
    case "medium":
      return "warn";
    case "":
      return "neutral";
    default:
      return "info";
  }
}

/** One incident in a list. */
export function IncidentRow({ incident, now, nameOf }: { incident: Incident; now: number; nameOf: (id: string) => string }) {
  const { status } = incident;
  const snoozed = incident.snoozedUntil > now;
  return (
    <li>
      <Link to={`/incidents/${incident.id}`} className={`incident-row tone-${statusTone[status] ?? "neutral"}`}>
        <span className="incident-number">#{incident.number}</span>
        <span className="incident-main">
          <b>{incident.title}</b>
          {incident.summary && incident.summary !== incident.title && <small>{incident.summary}</small>}
          <LabelTags labels={incident.groupLabels} />
        </span>
        <span className="incident-side">
          <span className="incident-tags">
            {incident.severity && <Tag tone={severityTone(incident.severity)}>{incident.severity}</Tag>}
            <Tag tone={statusTone[status] ?? "neutral"}>{snoozed ? "snoozed" : status}</Tag>
          </span>
          <small title={formatDateTime(incident.openedAt)}>
            opened {formatAgo(incident.openedAt, now)}
            {status === "acknowledged" && incident.acknowledgedBy && `, taken by ${nameOf(incident.acknowledgedBy)}`}
            {status === "resolved" && Number.isFinite(incident.resolvedAt) && `, took ${formatDuration(incident.resolvedAt - incident.openedAt)}`}
          </small>
          <small>{incident.alertsFiring > 0 ? `${plural(incident.alertsFiring, "alert")} firing` : plural(incident.alertsTotal, "alert")}</small>
        </span>
      </Link>
    </li>
  );
}
