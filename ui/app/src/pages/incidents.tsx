import { useEffect, useState, type FormEvent } from "react";
import { incidents, type Incident, type IncidentStatus } from "../api/belfry";
import { Button, Card, Empty, ErrorBox, Link, PageHead, Progress, Skeleton, Tabs, Tag } from "../components/basics";
import { Icon } from "../components/icons";
import { IncidentRow } from "../components/IncidentRow";
import { NewIncident } from "../components/NewIncident";
import { RefreshPicker } from "../components/TimePicker";
import { usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { setParams, useParam } from "../lib/router";

type Tab = "open" | IncidentStatus | "all";

const statusesOf: Record<Tab, IncidentStatus[]> = {
  open: ["triggered", "acknowledged"],
  triggered: ["triggered"],
  acknowledged: ["acknowledged"],
  resolved: ["resolved"],
  all: [],
};

const tabs: { id: Tab; label: string }[] = [
  { id: "open", label: "Open" },
  { id: "triggered", label: "Triggered" },
  { id: "acknowledged", label: "Acknowledged" },
  { id: "resolved", label: "Resolved" },
  { id: "all", label: "All" },
];

const pageSize = 50;

export default function IncidentsPage() {
  const time = useTime();
  const wanted = useParam("status", "open");
  const search = useParam("search");
  const rule = useParam("rule");
  const [opening, setOpening] = useState(false);
  const tab = (wanted in statusesOf ? wanted : "open") as Tab;
  const [draft, setDraft] = useState(search);
  useEffect(() => setDraft(search), [search]);
  const { nameOf } = usePeople();

  const scope = JSON.stringify([tab, search, rule]);
  const first = useQuery(
    timedKey(time, "incidents", scope),
    (signal) => incidents({ statuses: statusesOf[tab], search, rule, cursor: "", limit: pageSize }, signal),
    scope,
  );
  const [more, setMore] = useState<{ base: unknown; items: Incident[]; next: string } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const extra = more?.base === first.data ? more : null;
  const next = extra ? extra.next : (first.data?.next ?? "");
  const list = [...(first.data?.items ?? []), ...(extra?.items ?? [])];

  const loadMore = () => {
    const base = first.data;
    incidents({ statuses: statusesOf[tab], search, rule, cursor: next, limit: pageSize })
      .then((page) => setMore({ base, items: [...(extra?.items ?? []), ...page.items], next: page.next }))
      .catch((cause: unknown) => setError(cause instanceof Error ? cause : new Error(String(cause))));
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setParams({ search: draft.trim() });
  };

  return (
    <div className="page">
      <PageHead title="Incidents" note="What needed somebody, and what became of it">
        <Link to="/incidents/analytics" className="button button-plain">
          Analytics
        </Link>
        <Button icon="plus" onClick={() => setOpening(true)}>
          New incident
        </Button>
        <RefreshPicker />
      </PageHead>
      <div className="tabs-row">
        <Tabs items={tabs} value={tab} onChange={(id) => setParams({ status: id === "open" ? null : id })} />
        <form className="query-input small-input" onSubmit={submit}>
          <Icon name="search" size={14} />
          <input
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            placeholder="Words in title, labels or notes"
            aria-label="Search incidents"
            data-search
          />
        </form>
      </div>
      {rule && (
        <div>
          <Tag tone="accent">rule {rule}</Tag>{" "}
          <Button small kind="ghost" icon="close" title="All rules" onClick={() => setParams({ rule: null })} />
        </div>
      )}
      <Card flush>
        <Progress active={first.loading} />
        {(first.error ?? error) && (
          <div className="pad">
            <ErrorBox error={(first.error ?? error) as Error} onRetry={first.refetch} />
          </div>
        )}
        {!first.data && first.loading && <Skeleton rows={5} />}
        {first.data && list.length === 0 && (
          <Empty icon="check" title={tab === "open" ? "No open incidents" : "No such incidents"}>
            {tab === "open" && <p>When an alert reaches an escalation policy, its incident stands here until somebody has resolved it.</p>}
          </Empty>
        )}
        <ul className="incident-list">
          {list.map((one) => (
            <IncidentRow key={one.id} incident={one} now={time.now} nameOf={nameOf} />
          ))}
        </ul>
        {next && (
          <div className="logs-foot">
            <Button small onClick={loadMore}>
              Load older incidents
            </Button>
          </div>
        )}
      </Card>
      {opening && <NewIncident onClose={() => setOpening(false)} />}
    </div>
  );
}
