import { useState, type FormEvent } from "react";
import { act, incident as fetchIncident, incidents, policies, postmortemURL, type Evidence, type IncidentAction, type IncidentDetail, type Person } from "../api/belfry";
import { ApiError } from "../api/http";
import { rules } from "../api/prometheus";
import { Button, Card, Dialog, Empty, ErrorBox, Field, LabelTags, Link, PageHead, Progress, Skeleton, Tag, type Tone } from "../components/basics";
import { Icon } from "../components/icons";
import { Select, severities } from "../components/NewIncident";
import { severityTone, statusTone } from "../components/IncidentRow";
import { Sparkline } from "../components/Sparkline";
import { TargetLinks } from "../components/TargetLinks";
import { useMe, usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { fromGenerator, targetsFor } from "../lib/correlate";
import { formatNumber, plural } from "../lib/format";
import { formatAgo, formatClock, formatDate, formatDateTime, formatDuration, parseDuration } from "../lib/time";
import { sortAlerts, toneOf, whoWasTold, type Told } from "../lib/timeline";

export default function IncidentPage({ id }: { id: string }) {
  const time = useTime();
  const answer = useQuery(timedKey(time, "incident", id), (signal) => fetchIncident(id, signal), id);
  if (answer.data) {
    return <Detail detail={answer.data} loading={answer.loading} error={answer.error} onChange={answer.refetch} />;
  }
  return (
    <div className="page">
      <PageHead title="Incident" />
      <Card>
        {answer.error instanceof ApiError && answer.error.status === 404 ? (
          <Empty icon="incidents" title="No such incident">
            <Link to="/incidents">All incidents</Link>
          </Empty>
        ) : answer.error ? (
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        ) : (
          <Skeleton rows={8} />
        )}
      </Card>
    </div>
  );
}

type Asking = "snooze" | "reassign" | "severity" | "merge" | "note" | null;

const nextText: Record<string, string> = {
  step: "The next step of the escalation",
  ack_timeout: "The acknowledgement runs out",
  unsnooze: "The snooze ends",
};

function Detail({
  detail,
  loading,
  error,
  onChange,
}: {
  detail: IncidentDetail;
  loading: boolean;
  error: Error | null;
  onChange: () => void;
}) {
  const { incident, alerts, timeline } = detail;
  const { refreshNow } = useTime();
  const now = Date.now();
  const { list, nameOf } = usePeople();
  const [me, setMe] = useMe(list);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Error | null>(null);
  const [asking, setAsking] = useState<Asking>(null);
  const groups = useQuery("rules-once", rules);

  const perform = (action: IncidentAction, body: Record<string, unknown> = {}) => {
    setBusy(true);
    setFault(null);
    act(incident.id, action, { by: me, ...body })
      .then(() => {
        setAsking(null);
        onChange();
        refreshNow();
      })
      .catch((cause: unknown) => setFault(cause instanceof Error ? cause : new Error(String(cause))))
      .finally(() => setBusy(false));
  };

  const open = incident.status !== "resolved";
  const snoozed = incident.snoozedUntil > now;
  const told = whoWasTold(timeline);
  const ruleOf = (name: string | undefined) =>
    groups.data?.flatMap((group) => group.rules).find((rule) => !rule.recording && rule.name === name);

  return (
    <div className="page">
      <PageHead
        title={
          <span className="trace-title">
            <span className="faint">#{incident.number}</span> {incident.title}
          </span>
        }
      >
        {list.length > 0 && (
          <label className="check" title="The author of what you do here">
            Act as
            <span className="select-wrap">
              <select value={me} onChange={(event) => setMe(event.target.value)}>
                {list.map((person: Person) => (
                  <option key={person.id} value={person.id}>
                    {person.name}
                  </option>
                ))}
              </select>
              <Icon name="down" size={12} />
            </span>
          </label>
        )}
        {incident.status === "triggered" && (
          <Button kind="primary" icon="check" disabled={busy} onClick={() => perform("acknowledge")}>
            Acknowledge
          </Button>
        )}
        {open && (
          <Button kind={incident.status === "acknowledged" ? "primary" : "plain"} disabled={busy} onClick={() => perform("resolve")}>
            Resolve
          </Button>
        )}
        {incident.status === "acknowledged" && (
          <Button disabled={busy} onClick={() => perform("unacknowledge")}>
            Give back
          </Button>
        )}
        {open && (
          <Button icon="clock" disabled={busy} onClick={() => setAsking("snooze")}>
            Snooze
          </Button>
        )}
        {open && list.length > 0 && (
          <Button icon="oncall" disabled={busy} onClick={() => setAsking("reassign")}>
            Reassign
          </Button>
        )}
        {open && (
          <Button disabled={busy} onClick={() => setAsking("severity")}>
            Severity
          </Button>
        )}
        {open && (
          <Button disabled={busy} onClick={() => setAsking("merge")}>
            Merge
          </Button>
        )}
        <Button icon="note" disabled={busy} onClick={() => setAsking("note")}>
          Note
        </Button>
        <a className="button button-plain" href={postmortemURL(incident.id)} target="_blank" rel="noreferrer">
          Postmortem
        </a>
      </PageHead>
      <div className="incident-facts">
        <Tag tone={statusTone[incident.status] ?? "neutral"}>{snoozed ? "snoozed" : incident.status}</Tag>
        {incident.severity && <Tag tone={severityTone(incident.severity)}>{incident.severity}</Tag>}
        <span>
          opened {formatDateTime(incident.openedAt)} ({formatAgo(incident.openedAt, now)})
        </span>
        {incident.acknowledgedBy && Number.isFinite(incident.acknowledgedAt) && (
          <span>
            taken by <b>{nameOf(incident.acknowledgedBy)}</b> after {formatDuration(incident.acknowledgedAt - incident.openedAt)}
          </span>
        )}
        {Number.isFinite(incident.resolvedAt) && (
          <span>
            resolved {incident.resolvedBy ? <>by <b>{nameOf(incident.resolvedBy)}</b></> : "by itself"} after{" "}
            {formatDuration(incident.resolvedAt - incident.openedAt)}
          </span>
        )}
        {incident.assignees.length > 0 && (
          <span>
            assigned to <b>{incident.assignees.map(nameOf).join(", ")}</b>
          </span>
        )}
        {incident.mergedInto && (
          <span>
            merged into <Link to={`/incidents/${incident.mergedInto}`}>another incident</Link>
          </span>
        )}
        {detail.merged.length > 0 && (
          <span>
            with{" "}
            {detail.merged.map((one) => (
              <Link key={one.id} to={`/incidents/${one.id}`}>
                #{one.number}{" "}
              </Link>
            ))}
          </span>
        )}
        {incident.policy && (
          <span>
            policy <b>{incident.policy}</b>
          </span>
        )}
        {open && incident.nextAction && Number.isFinite(incident.nextAt) && (
          <span className="warn">
            {nextText[incident.nextAction] ?? incident.nextAction} {formatAgo(incident.nextAt, now)}
          </span>
        )}
      </div>
      {(fault ?? error) && <ErrorBox error={(fault ?? error) as Error} />}
      <div className="incident-body">
        <Card title="Timeline" actions={<span className="muted small">{plural(timeline.length, "event")}</span>} flush>
          <Progress active={loading} />
          <Timeline detail={detail} nameOf={nameOf} />
        </Card>
        <div className="incident-aside">
          <Card title="Alerts" actions={<span className="muted small">{incident.alertsFiring} of {incident.alertsTotal} firing</span>} flush>
            {alerts.length === 0 && <Empty icon="alerts" title="No alerts" />}
            <ul>
              {sortAlerts(alerts).map((alert) => {
                const rule = ruleOf(alert.labels.alertname);
                const said = fromGenerator(alert.generatorURL);
                const expr = said.expr || (rule?.query ?? "");
                const targets = targetsFor({ expr, kind: said.kind ?? rule?.kind ?? null, labels: alert.labels, startsAt: alert.startsAt, endsAt: alert.endsAt }, now);
                return (
                  <li key={alert.fingerprint} className="incident-alert">
                    <h3>
                      {alert.labels.alertname} <Tag tone={alert.status === "firing" ? "bad" : "good"}>{alert.status}</Tag>
                    </h3>
                    {(alert.annotations.summary || alert.annotations.description) && <p>{alert.annotations.summary || alert.annotations.description}</p>}
                    <LabelTags labels={alert.labels} except={["alertname"]} />
                    {expr && <code className="expr">{expr}</code>}
                    <TargetLinks targets={targets} />
                  </li>
                );
              })}
            </ul>
          </Card>
          {detail.evidence && <EvidenceCard found={detail.evidence} />}
          <Card title="Who was told" flush>
            {told.length === 0 ? <p className="pad muted small">Nobody yet.</p> : <ToldTable told={told} nameOf={nameOf} now={now} />}
          </Card>
        </div>
      </div>
      {asking === "snooze" && <SnoozeDialog busy={busy} onClose={() => setAsking(null)} onDone={(until) => perform("snooze", { until: new Date(until).toISOString() })} />}
      {asking === "reassign" && (
        <ReassignDialog busy={busy} people={list} onClose={() => setAsking(null)} onDone={(body) => perform("reassign", body)} />
      )}
      {asking === "severity" && (
        <SeverityDialog busy={busy} now={incident.severity} onClose={() => setAsking(null)} onDone={(severity) => perform("severity", { severity })} />
      )}
      {asking === "merge" && <MergeDialog busy={busy} id={incident.id} onClose={() => setAsking(null)} onDone={(into) => perform("merge", { into })} />}
      {asking === "note" && <NoteDialog busy={busy} onClose={() => setAsking(null)} onDone={(text) => perform("notes", { text })} />}
    </div>
  );
}

const toldTone: Record<Told["state"], Tone> = { told: "info", trying: "warn", failed: "bad", delivered: "good", canceled: "neutral" };

function ToldTable({ told, nameOf, now }: { told: Told[]; nameOf: (id: string) => string; now: number }) {
  return (
    <table>
      <tbody>
        {told.map((one) => (
          <tr key={one.whom + one.method}>
            <td>
              <b>{nameOf(one.whom)}</b>
            </td>
            <td className="muted">{one.method}</td>
            <td title={one.error}>
              <Tag tone={toldTone[one.state]}>{one.state === "told" ? "on its way" : one.state}</Tag>
            </td>
            <td className="num muted nowrap small">{formatAgo(one.at, now)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Timeline({ detail, nameOf }: { detail: IncidentDetail; nameOf: (id: string) => string }) {
  const events = [...detail.timeline].sort((a, b) => b.seq - a.seq);
  if (events.length === 0) return <Empty icon="clock" title="Nothing has happened yet" />;
  return (
    <ol className="timeline">
      {events.map((event, i) => {
        const date = formatDate(event.at);
        const before = events[i - 1];
        const newDay = !before || formatDate(before.at) !== date;
        return (
          <li key={event.seq} className={`timeline-item tone-${toneOf(event.kind)}`}>
            {newDay && <div className="timeline-day">{date}</div>}
            <time className="mono">{formatClock(event.at)}</time>
            <span className="timeline-mark" />
            <div>
              <span className={event.kind === "note" ? "timeline-note" : ""}>{event.message || event.kind.replaceAll("_", " ")}</span>
              {event.actor && !event.message.includes(event.actor) && <small> {nameOf(event.actor)}</small>}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

const snoozes = ["15m", "30m", "1h", "2h", "4h", "8h", "1d"];

function SnoozeDialog({ busy, onClose, onDone }: { busy: boolean; onClose: () => void; onDone: (until: number) => void }) {
  const [text, setText] = useState("1h");
  const length = parseDuration(text);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (length) onDone(Date.now() + length);
  };
  return (
    <Dialog title="Snooze" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="Quiet for" hint={length ? `until ${formatDateTime(Date.now() + length)}; then the escalation starts again` : "a duration such as 90m"}>
          <span className="duration-choice">
            <input value={text} onChange={(event) => setText(event.target.value)} autoFocus />
            {snoozes.map((choice) => (
              <Button key={choice} small aria-pressed={choice === text} onClick={() => setText(choice)}>
                {choice}
              </Button>
            ))}
          </span>
        </Field>
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!length || busy}>
            Snooze
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function ReassignDialog({
  busy,
  people,
  onClose,
  onDone,
}: {
  busy: boolean;
  people: Person[];
  onClose: () => void;
  onDone: (body: Record<string, unknown>) => void;
}) {
  const [chosen, setChosen] = useState(people[0]?.id ?? "");
  const known = useQuery("policies-once", policies);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone(chosen.startsWith("policy:") ? { policy: chosen.slice("policy:".length) } : { people: [chosen] });
  };
  return (
    <Dialog title="Reassign" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="To" hint="They are told at once; if they stay silent, the escalation goes on.">
          <span className="select-wrap">
            <select value={chosen} onChange={(event) => setChosen(event.target.value)} autoFocus>
              {people.map((person) => (
                <option key={person.id} value={person.id}>
                  {person.name}
                </option>
              ))}
              {known.data?.map((name) => (
                <option key={name} value={`policy:${name}`}>
                  policy {name}
                </option>
              ))}
            </select>
            <Icon name="down" size={12} />
          </span>
        </Field>
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!chosen || busy}>
            Reassign
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function EvidenceCard({ found }: { found: Evidence }) {
  const last = found.points.at(-1);
  return (
    <Card title="At the first page">
      {found.expr && (
        <p>
          <code className="expr">{found.expr}</code>
        </p>
      )}
      {last && (
        <p>
          <b>{formatNumber(last.v)}</b> {found.threshold && <span className="muted">alerts when {found.threshold}</span>}
          <Sparkline values={found.points.map((point) => point.v)} />
        </p>
      )}
      {found.lines.length > 0 && <pre className="evidence-lines">{found.lines.map((line) => `${formatClock(line.at)} ${line.text}`).join("\n")}</pre>}
      {found.traceId && <Link to={`/traces/${found.traceId}`}>A trace that shows it</Link>}
    </Card>
  );
}

function SeverityDialog({ busy, now, onClose, onDone }: { busy: boolean; now: string; onClose: () => void; onDone: (severity: string) => void }) {
  const [chosen, setChosen] = useState(now);
  const options = severities.includes(now) || !now ? severities : [now, ...severities];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone(chosen);
  };
  return (
    <Dialog title="Severity" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="It is" hint="Steps and contact rules go by it from now on.">
          <Select value={chosen} options={options} onChange={setChosen} />
        </Field>
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy || chosen === now}>
            Change
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function MergeDialog({ busy, id, onClose, onDone }: { busy: boolean; id: string; onClose: () => void; onDone: (into: string) => void }) {
  const answer = useQuery("open-incidents", (signal) => incidents({ statuses: ["triggered", "acknowledged"], search: "", cursor: "", limit: 100 }, signal));
  const others = (answer.data?.items ?? []).filter((one) => one.id !== id);
  const [chosen, setChosen] = useState("");
  const into = chosen || (others[0]?.id ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone(into);
  };
  return (
    <Dialog title="Merge" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="Into" hint="That one goes on, and takes over the alerts of this one.">
          <Select
            value={into}
            options={others.map((one) => one.id)}
            onChange={setChosen}
            names={(key) => others.filter((one) => one.id === key).map((one) => `#${one.number} ${one.title}`)[0] ?? key}
          />
        </Field>
        {answer.data && others.length === 0 && <p className="muted small">There is no other open incident.</p>}
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!into || busy}>
            Merge
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function NoteDialog({ busy, onClose, onDone }: { busy: boolean; onClose: () => void; onDone: (text: string) => void }) {
  const [text, setText] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim()) onDone(text.trim());
  };
  return (
    <Dialog title="Note" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="For the timeline">
          <textarea rows={5} value={text} onChange={(event) => setText(event.target.value)} autoFocus />
        </Field>
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!text.trim() || busy}>
            Add note
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
