import { analytics, type Durations, type RuleNoise } from "../api/oncall";
import { Card, Empty, ErrorBox, Link, PageHead, Progress, Skeleton, Tag } from "../components/basics";
import { RefreshPicker } from "../components/TimePicker";
import { usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { setParams, useParam } from "../lib/router";
import { day, formatDuration } from "../lib/time";

const spans = [7, 30, 90, 365];

/** How the paging itself did. */
export default function AnalyticsPage() {
  const time = useTime();
  const { nameOf } = usePeople();
  const wanted = Number(useParam("days"));
  const days = spans.includes(wanted) ? wanted : 30;
  const to = Math.ceil(time.now / 60_000) * 60_000;
  const answer = useQuery(timedKey(time, "analytics", days), (signal) => analytics(to - days * day, to, signal), String(days));
  const data = answer.data;
  return (
    <div className="page">
      <PageHead title="Analytics" note="How fast incidents are taken, who is paged, and what makes noise">
        <div className="segmented" role="group" aria-label="Days back">
          {spans.map((count) => (
            <button key={count} type="button" className={count === days ? "active" : ""} onClick={() => setParams({ days: String(count) }, { replace: true })}>
              {count} days
            </button>
          ))}
        </div>
        <RefreshPicker />
      </PageHead>
      <Progress active={answer.loading} />
      {answer.error && <ErrorBox error={answer.error} onRetry={answer.refetch} />}
      {!data && answer.loading && <Skeleton />}
      {data && (
        <>
          <div className="analytics-tiles">
            <Figure label="Incidents" value={String(data.incidents)} note={`${data.resolved} resolved`} />
            <Figure label="Pages" value={String(data.pages)} note={data.incidents > 0 ? `${(data.pages / data.incidents).toFixed(1)} an incident` : ""} />
            <Time label="Time to acknowledge" of={data.toAcknowledge} />
            <Time label="Time to resolve" of={data.toResolve} />
          </div>
          <div className="incident-body">
            <Card title="Noisiest rules" flush>
              <Rules list={data.rules} />
            </Card>
            <div className="incident-aside">
              <Card title="Flapping" flush>
                {data.flapping.length === 0 ? <p className="pad muted small">Nothing comes and goes by itself.</p> : <Rules list={data.flapping} />}
              </Card>
              <Card title="Pages per person" flush>
                {data.people.length === 0 && <Empty icon="oncall" title="Nobody was paged" />}
                <table>
                  <tbody>
                    {data.people.map((one) => (
                      <tr key={one.person + one.channel}>
                        <td>
                          <b>{one.person ? nameOf(one.person) : one.channel}</b> {one.channel && <Tag>channel</Tag>}
                        </td>
                        <td className="num">{one.pages} pages</td>
                        <td className="num muted">{one.incidents} incidents</td>
                        <td className="num">{one.failed > 0 && <Tag tone="bad">{one.failed} failed</Tag>}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Card>
            </div>
          </div>
        </>
      )}
    </div>
  );
}

function Figure({ label, value, note }: { label: string; value: string; note: string }) {
  return (
    <div className="card analytics-tile">
      <small className="muted">{label}</small>
      <b>{value}</b>
      <small className="faint">{note}</small>
    </div>
  );
}

function Time({ label, of }: { label: string; of: Durations }) {
  const text = (seconds: number) => formatDuration(seconds * 1000);
  return <Figure label={label} value={of.count > 0 ? text(of.median) : "–"} note={of.count > 0 ? `median; 9 of 10 within ${text(of.p90)}` : "none yet"} />;
}

function Rules({ list }: { list: RuleNoise[] }) {
  if (list.length === 0) return <Empty icon="check" title="No incidents in this time" />;
  return (
    <div className="table-scroll">
      <table>
        <thead>
          <tr>
            <th>Rule</th>
            <th className="num">Pages</th>
            <th className="num">Incidents</th>
            <th className="num">Fired</th>
            <th className="num" title="Over before anybody acknowledged">
              Unattended
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((one) => (
            <tr key={one.rule}>
              <td>
                <Link to="/incidents" params={{ status: "all", rule: one.rule }}>
                  {one.rule}
                </Link>
              </td>
              <td className="num">{one.pages}</td>
              <td className="num">{one.incidents}</td>
              <td className="num">{one.fired}</td>
              <td className="num">{one.unattended}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
