import { useMemo, useState, type ReactNode } from "react";
import { activeAlerts, expireSilence, formatMatcher, proposedLabels, silences, type ActiveAlert, type Silence } from "../api/alertmanager";
import { rules, type Rule, type RuleGroup } from "../api/prometheus";
import { Button, Card, Empty, ErrorBox, LabelTags, PageHead, Progress, Skeleton, Tabs, Tag, type Tone } from "../components/basics";
import { Icon } from "../components/icons";
import { severityTone } from "../components/IncidentRow";
import { SilenceForm } from "../components/SilenceForm";
import { TargetLinks } from "../components/TargetLinks";
import { RefreshPicker } from "../components/TimePicker";
import { useQuery, type QueryState } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import type { RuleKind } from "../lib/kinds";
import { fromGenerator, targetsFor } from "../lib/correlate";
import { formatNumber, plural, type Labels } from "../lib/format";
import { setParams, useParam } from "../lib/router";
import { formatAgo, formatDateTime, formatDuration } from "../lib/time";

type Tab = "active" | "rules" | "silences";

export default function AlertsPage() {
  const time = useTime();
  const wanted = useParam("tab", "active");
  const tab: Tab = wanted === "rules" || wanted === "silences" ? wanted : "active";
  const alerts = useQuery(timedKey(time, "am-alerts"), activeAlerts);
  const groups = useQuery(timedKey(time, "rules"), rules);
  const muted = useQuery(timedKey(time, "silences"), silences);
  // Messages link here with the matchers of a silence to be made.
  const proposed = useParam("silence");
  const [silencing, setSilencing] = useState<Labels | null>(() => (proposed ? proposedLabels(proposed) : null));

  return (
    <div className="page">
      <PageHead title="Alerts" note="What fires, the rules behind it, and what is silenced">
        <Button icon="mute" onClick={() => setSilencing({})}>
          New silence
        </Button>
        <RefreshPicker />
      </PageHead>
      <Tabs<Tab>
        items={[
          { id: "active", label: "Active", count: alerts.data?.length },
          { id: "rules", label: "Rules", count: groups.data?.reduce((sum, group) => sum + group.rules.length, 0) },
          { id: "silences", label: "Silences", count: muted.data?.filter((silence) => silence.state !== "expired").length },
        ]}
        value={tab}
        onChange={(id) => setParams({ tab: id === "active" ? null : id }, { replace: true })}
      />
      {tab === "active" && <Active state={alerts} groups={groups.data ?? []} onSilence={setSilencing} />}
      {tab === "rules" && <Rules state={groups} />}
      {tab === "silences" && <Silences state={muted} onNew={() => setSilencing({})} />}
      {silencing && (
        <SilenceForm
          labels={silencing}
          alerts={alerts.data ?? []}
          onClose={() => {
            setSilencing(null);
            setParams({ silence: null }, { replace: true });
          }}
          onDone={() => {
            setSilencing(null);
            muted.refetch();
            alerts.refetch();
            setParams({ tab: "silences", silence: null });
          }}
        />
      )}
    </div>
  );
}

/** The state of a list that is loading, broken or empty; null when it can be shown. */
function Waiting<T>({ state, children }: { state: QueryState<T[]>; children: ReactNode }) {
  if (state.error) return <div className="pad"><ErrorBox error={state.error} onRetry={state.refetch} /></div>;
  if (!state.data) return <Skeleton rows={5} />;
  return state.data.length === 0 ? children : null;
}

function ruleBehind(alert: ActiveAlert, groups: RuleGroup[]): Rule | undefined {
  return groups.flatMap((group) => group.rules).find((rule) => !rule.recording && rule.name === alert.labels.alertname);
}

function Active({ state, groups, onSilence }: { state: QueryState<ActiveAlert[]>; groups: RuleGroup[]; onSilence: (labels: Labels) => void }) {
  const { now } = useTime();
  return (
    <Card flush>
      <Progress active={state.loading} />
      <Waiting state={state}>
        <Empty icon="check" title="Nothing fires">
          <p>No alert is active. The Rules tab shows what is being watched.</p>
        </Empty>
      </Waiting>
      <ul className="alert-list">
        {state.data?.map((alert) => {
          const behind = ruleBehind(alert, groups);
          const said = fromGenerator(alert.generatorURL);
          const expr = said.expr || (behind?.query ?? "");
          const targets = targetsFor(
            { expr, kind: said.kind ?? behind?.kind ?? null, labels: alert.labels, startsAt: alert.startsAt, endsAt: NaN },
            now,
          );
          const severity = alert.labels.severity;
          return (
            <li key={alert.fingerprint} className={`alert-item tone-${severityTone(severity)}`}>
              <div className="alert-main">
                <h3>
                  {alert.labels.alertname ?? "Alert"} {severity && <Tag tone={severityTone(severity)}>{severity}</Tag>}
                  {alert.state === "suppressed" && (
                    <Tag>{alert.silencedBy.length > 0 ? "silenced" : "inhibited"}</Tag>
                  )}
                </h3>
                {(alert.annotations.summary || alert.annotations.description) && (
                  <p>{alert.annotations.summary || alert.annotations.description}</p>
                )}
                <LabelTags labels={alert.labels} except={["alertname", "severity"]} />
                {expr && <code className="expr">{expr}</code>}
                <TargetLinks targets={targets} />
              </div>
              <div className="alert-side">
                <span title={formatDateTime(alert.startsAt)}>since {formatAgo(alert.startsAt, now)}</span>
                <span className="faint">to {alert.receivers.join(", ") || "nobody"}</span>
                <Button small icon="mute" onClick={() => onSilence(alert.labels)}>
                  Silence
                </Button>
              </div>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

const stateTone: Record<string, Tone> = { firing: "bad", pending: "warn", inactive: "good" };

function Rules({ state }: { state: QueryState<RuleGroup[]> }) {
  const { now } = useTime();
  const [open, setOpen] = useState("");
  const [text, setText] = useState("");
  const groups = useMemo(() => {
    const wanted = text.toLowerCase();
    return (state.data ?? [])
      .map((group) => ({
        ...group,
        rules: group.rules.filter((rule) => `${rule.name} ${rule.query} ${rule.state}`.toLowerCase().includes(wanted)),
      }))
      .filter((group) => group.rules.length > 0);
  }, [state.data, text]);
  return (
    <>
      <div className="query-input filter-input">
        <Icon name="filter" />
        <input value={text} onChange={(event) => setText(event.target.value)} placeholder="Filter rules by name, expression or state" aria-label="Filter rules" data-search />
      </div>
      {(!state.data || state.data.length === 0 || state.error) && (
        <Card>
          <Waiting state={state}>
            <Empty icon="alerts" title="No rules are loaded">
              <p>
                Name rule files in <code>belfry.yaml</code>; they have Prometheus' format, with <code>type: logs</code> and{" "}
                <code>type: traces</code> as well.
              </p>
            </Empty>
          </Waiting>
        </Card>
      )}
      {groups.map((group) => (
        <Card
          key={group.file + group.name}
          title={
            <span className="group-title">
              {group.name} <small className="faint mono">{group.file.split("/").slice(-2).join("/")}</small>
            </span>
          }
          actions={<span className="muted small">every {formatDuration(group.intervalSeconds * 1000)}</span>}
          flush
        >
          <table className="rule-table">
            <tbody>
              {group.rules.map((rule) => {
                const key = `${group.file}|${group.name}|${rule.name}|${rule.query}|${JSON.stringify(rule.labels)}`;
                const kind = rule.kind;
                return [
                  <tr key={key} className="clickable" onClick={() => setOpen(open === key ? "" : key)}>
                    <td className="rule-state">
                      {rule.recording ? <Tag>recording</Tag> : <Tag tone={stateTone[rule.state] ?? "neutral"}>{rule.state}</Tag>}
                    </td>
                    <td className="rule-kind">
                      <Tag tone="accent">
                        <Icon name={kind} size={12} />
                        {kind}
                      </Tag>
                    </td>
                    <td>
                      <button type="button" className="plain-button" aria-expanded={open === key}>
                        <b>{rule.name}</b>
                      </button>
                      {rule.labels.severity && <> <Tag tone={severityTone(rule.labels.severity)}>{rule.labels.severity}</Tag></>}
                      <code className="expr one-line">{rule.query}</code>
                    </td>
                    <td className="num nowrap muted small">
                      {rule.health === "err" ? (
                        <span className="bad">cannot be evaluated</span>
                      ) : (
                        Number.isFinite(rule.lastEvaluation) && <>checked {formatAgo(rule.lastEvaluation, Math.max(now, rule.lastEvaluation))}</>
                      )}
                    </td>
                  </tr>,
                  open === key && (
                    <tr key={`${key}|open`} className="rule-open">
                      <td colSpan={4}>
                        <RuleDetails rule={rule} kind={kind} now={now} />
                      </td>
                    </tr>
                  ),
                ];
              })}
            </tbody>
          </table>
        </Card>
      ))}
    </>
  );
}

function RuleDetails({ rule, kind, now }: { rule: Rule; kind: RuleKind; now: number }) {
  const targets = targetsFor({ expr: rule.query, kind, labels: rule.labels, startsAt: now - 1_800_000, endsAt: NaN }, now);
  return (
    <div className="rule-details">
      {rule.lastError && <ErrorBox error={new Error(rule.lastError)} />}
      <pre className="log-json">{rule.query}</pre>
      <div className="rule-facts muted small">
        {rule.durationSeconds > 0 && <span>for {formatDuration(rule.durationSeconds * 1000)}</span>}
        {rule.keepFiringForSeconds > 0 && <span>keeps firing for {formatDuration(rule.keepFiringForSeconds * 1000)}</span>}
        {Number.isFinite(rule.evaluationSeconds) && <span>took {formatNumber(rule.evaluationSeconds * 1000)} ms</span>}
        <LabelTags labels={rule.labels} />
      </div>
      {Object.entries(rule.annotations).map(([name, value]) => (
        <p key={name} className="small">
          <span className="muted">{name}:</span> {value}
        </p>
      ))}
      <TargetLinks targets={targets} />
      {rule.alerts.length > 0 && (
        <table className="rule-alerts">
          <tbody>
            {rule.alerts.map((alert) => (
              <tr key={JSON.stringify(alert.labels)}>
                <td>
                  <Tag tone={stateTone[alert.state] ?? "neutral"}>{alert.state}</Tag>
                </td>
                <td>
                  <LabelTags labels={alert.labels} except={["alertname", "severity"]} />
                </td>
                <td className="num mono">{formatNumber(Number(alert.value))}</td>
                <td className="num muted nowrap">since {formatAgo(alert.activeAt, now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

const silenceTone: Record<string, Tone> = { active: "accent", pending: "info", expired: "neutral" };

function Silences({ state, onNew }: { state: QueryState<Silence[]>; onNew: () => void }) {
  const { now } = useTime();
  const [expired, setExpired] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const list = (state.data ?? []).filter((silence) => expired || silence.state !== "expired");
  const past = (state.data?.length ?? 0) - (state.data?.filter((silence) => silence.state !== "expired").length ?? 0);
  const expire = (id: string) => {
    expireSilence(id).then(state.refetch, (cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))));
  };
  return (
    <Card
      title="Silences"
      actions={
        past > 0 && (
          <label className="check">
            <input type="checkbox" checked={expired} onChange={(event) => setExpired(event.target.checked)} />
            {plural(past, "expired one")}
          </label>
        )
      }
      flush
    >
      <Progress active={state.loading} />
      {error && <div className="pad"><ErrorBox error={error} /></div>}
      {state.error || !state.data ? (
        <Waiting state={state}>{null}</Waiting>
      ) : (
        list.length === 0 && (
          <Empty icon="mute" title="Nothing is silenced">
            <Button onClick={onNew}>New silence</Button>
          </Empty>
        )
      )}
      {list.length > 0 && (
        <div className="table-scroll">
          <table>
            <thead>
              <tr>
                <th>State</th>
                <th>Matchers</th>
                <th>Why</th>
                <th>By</th>
                <th>Ends</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {list.map((silence) => (
                <tr key={silence.id}>
                  <td>
                    <Tag tone={silenceTone[silence.state] ?? "neutral"}>{silence.state}</Tag>
                  </td>
                  <td>
                    <span className="label-tags">
                      {silence.matchers.map((matcher) => (
                        <span key={formatMatcher(matcher)} className="label-tag">
                          <span className="label-value">{formatMatcher(matcher)}</span>
                        </span>
                      ))}
                    </span>
                  </td>
                  <td>{silence.comment}</td>
                  <td>{silence.createdBy}</td>
                  <td className="nowrap" title={formatDateTime(silence.endsAt)}>
                    {formatAgo(silence.endsAt, now)}
                  </td>
                  <td className="num">
                    {silence.state !== "expired" && (
                      <Button small kind="danger" onClick={() => expire(silence.id)}>
                        Expire
                      </Button>
                    )}
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
