import { useMemo } from "react";
import { onCallNow, shifts, type OnCallNow, type Person, type Shift } from "../api/belfry";
import { Card, Dot, Empty, ErrorBox, PageHead, Progress, Skeleton, Tag } from "../components/basics";
import { ScheduleTools } from "../components/ScheduleTools";
import { RefreshPicker } from "../components/TimePicker";
import { usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { assignColors } from "../lib/colors";
import { setParams, useParam } from "../lib/router";
import { day, formatAgo, formatDateTime, formatDuration } from "../lib/time";

const spans = [1, 7, 14, 30];

export default function OnCallPage() {
  const time = useTime();
  const { list, nameOf } = usePeople();
  const answer = useQuery(timedKey(time, "oncall"), onCallNow);
  const wanted = Number(useParam("days"));
  const days = spans.includes(wanted) ? wanted : 14;
  const colors = useMemo(
    () => assignColors([...list.map((person) => person.id), ...(answer.data ?? []).flatMap((one) => one.people)]),
    [list, answer.data],
  );
  return (
    <div className="page">
      <PageHead title="On-call" note="Who is called now, and who is next">
        <div className="segmented" role="group" aria-label="Days ahead">
          {spans.map((count) => (
            <button key={count} type="button" className={count === days ? "active" : ""} onClick={() => setParams({ days: String(count) }, { replace: true })}>
              {count === 1 ? "1 day" : `${count} days`}
            </button>
          ))}
        </div>
        <RefreshPicker />
      </PageHead>
      {answer.error && <ErrorBox error={answer.error} onRetry={answer.refetch} />}
      {!answer.data && answer.loading && <Skeleton />}
      {answer.data?.length === 0 && (
        <Card>
          <Empty icon="oncall" title="No schedules">
            <p>
              Schedules and people are written in <code>belfry.yaml</code> under <code>oncall:</code>.
            </p>
          </Empty>
        </Card>
      )}
      <div className="oncall-now">
        {answer.data?.map((one) => (
          <div key={one.schedule.id} className="oncall-card card">
            <small>{one.schedule.name}</small>
            {one.people.length > 0 ? (
              one.people.map((id) => (
                <div key={id} className="person">
                  <span className="avatar" style={{ background: colors.get(id) }}>
                    {initials(nameOf(id))}
                  </span>
                  <b>{nameOf(id)}</b>
                </div>
              ))
            ) : (
              <div className="person">
                <Tag tone="bad">nobody is on call</Tag>
              </div>
            )}
            <small className="muted">
              {Number.isFinite(one.until) ? `until ${formatDateTime(one.until).slice(0, 16)}, ${formatAgo(one.until, time.now)}` : "until further notice"}
              {one.next && `, then ${nameOf(one.next)}`}
            </small>
          </div>
        ))}
      </div>
      {answer.data?.map((one) => (
        <ScheduleView key={one.schedule.id} entry={one} days={days} colors={colors} nameOf={nameOf} people={list} onChange={answer.refetch} />
      ))}
    </div>
  );
}

function initials(name: string): string {
  return name
    .split(/\s+/)
    .map((part) => part[0] ?? "")
    .slice(0, 2)
    .join("")
    .toUpperCase();
}

/** Coming shifts as a bar over the days, and as a list. */
function ScheduleView({
  entry,
  days,
  colors,
  nameOf,
  people,
  onChange,
}: {
  entry: OnCallNow;
  people: Person[];
  onChange: () => void;
  days: number;
  colors: Map<string, string>;
  nameOf: (id: string) => string;
}) {
  const time = useTime();
  const from = Math.floor(time.now / 60_000) * 60_000;
  const to = from + days * day;
  const answer = useQuery(
    timedKey(time, "shifts", entry.schedule.id, days),
    (signal) => shifts(entry.schedule.id, from, to, signal),
    `${entry.schedule.id}:${days}`,
  );
  const list = answer.data ?? [];
  const gaps = list.filter((shift) => shift.person === "");
  const at = (ms: number) => `${(Math.min(Math.max(ms, from), to) - from) / ((to - from) / 100)}%`;
  const every = Math.ceil(days / 14);
  const firstMidnight = new Date(from);
  firstMidnight.setHours(24, 0, 0, 0);
  const midnights: number[] = [];
  for (let midnight = firstMidnight.getTime(), i = 0; midnight < to; i++) {
    if (i % every === 0) midnights.push(midnight);
    const next = new Date(midnight);
    next.setDate(next.getDate() + 1);
    midnight = next.getTime();
  }
  return (
    <Card
      title={
        <span className="group-title">
          {entry.schedule.name} <small className="faint">{entry.schedule.timeZone}, shown in your time</small>
        </span>
      }
      actions={gaps.length > 0 && <Tag tone="bad">{gaps.length === 1 ? "a gap" : `${gaps.length} gaps`} in coverage</Tag>}
      flush
    >
      <Progress active={answer.loading} />
      {answer.error && (
        <div className="pad">
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        </div>
      )}
      {!answer.data && answer.loading && <Skeleton rows={2} />}
      {answer.data && (
        <>
          <div className="shift-bar">
            {midnights.map((midnight) => (
              <span key={midnight} className="shift-day" style={{ left: at(midnight) }}>
                {new Date(midnight).toLocaleDateString("en-US", { weekday: "short", day: "numeric" })}
              </span>
            ))}
            {list.map((shift) => (
              <span
                key={shift.start}
                className={shift.person ? "shift" : "shift gap"}
                style={{ left: at(shift.start), width: `calc(${at(shift.end)} - ${at(shift.start)} - 1px)`, background: shift.person ? colors.get(shift.person) : undefined }}
                title={`${shift.person ? nameOf(shift.person) : "nobody"}: ${formatDateTime(shift.start)} to ${formatDateTime(shift.end)}`}
              >
                {shift.person ? nameOf(shift.person) : "nobody"}
              </span>
            ))}
          </div>
          <ShiftTable list={list.slice(0, 12)} to={to} colors={colors} nameOf={nameOf} now={time.now} />
          <ScheduleTools
            schedule={entry.schedule.id}
            people={people}
            nameOf={nameOf}
            to={to}
            onChange={() => {
              answer.refetch();
              onChange();
            }}
          />
          {list.length > 12 && <p className="pad faint small">and {list.length - 12} more shifts in these {days} days</p>}
        </>
      )}
    </Card>
  );
}

function ShiftTable({ list, to, colors, nameOf, now }: { list: Shift[]; to: number; colors: Map<string, string>; nameOf: (id: string) => string; now: number }) {
  return (
    <div className="table-scroll">
      <table>
        <tbody>
          {list.map((shift) => (
            <tr key={shift.start}>
              <td>
                <span className="service-name">
                  <Dot color={shift.person ? (colors.get(shift.person) ?? "") : "var(--bad)"} />
                  <b className={shift.person ? "" : "bad"}>{shift.person ? nameOf(shift.person) : "nobody"}</b>
                  {shift.start <= now && now < shift.end && <Tag tone="accent">now</Tag>}
                </span>
              </td>
              <td className="mono nowrap">{formatDateTime(shift.start).slice(0, 16)}</td>
              <td className="mono nowrap muted">
                {formatDateTime(shift.end).slice(0, 16)}
                {shift.end >= to && " or later"}
              </td>
              <td className="muted">{shift.end < to && formatDuration(shift.end - shift.start)}</td>
              <td className="muted">{shift.override ? <Tag tone="info">override</Tag> : shift.layer}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
