import { useMemo } from "react";
import { logPatterns, type LogPattern } from "../api/loki";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { formatCount, formatPercent } from "../lib/format";
import { addLineFilter } from "../lib/logql";
import { setParams } from "../lib/router";
import { alignInterval, chooseStep } from "../lib/time";
import { Button, Empty, ErrorBox, Progress, Skeleton } from "./basics";
import { Sparkline } from "./Sparkline";
import { levelColor } from "./VolumeChart";

/** What lines look like, the most frequent shape first; a shape becomes a filter. */
export function PatternList({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const time = useTime();
  const step = chooseStep(time.interval, 40);
  const interval = useMemo(() => alignInterval(time.interval, step), [time.interval, step]);
  const answer = useQuery(timedKey(time, "patterns", query), (signal) => logPatterns(query, interval, step, signal), query);
  const list = answer.data ?? [];
  const only = (pattern: string) => {
    onQuery(addLineFilter(query, "|>", pattern));
    setParams({ view: null }, { replace: true });
  };
  const total = list.reduce((sum, { total }) => sum + total, 0);
  return (
    <>
      <Progress active={answer.loading} />
      {answer.error && (
        <div className="pad">
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        </div>
      )}
      {!answer.data && answer.loading && <Skeleton rows={10} />}
      {answer.data && list.length === 0 && !answer.error && <Empty icon="logs" title="No patterns in this time range" />}
      {list.length > 0 && (
        <div className="table-scroll pattern-scroll">
          <table className="patterns">
            <thead>
              <tr>
                <th className="num">Lines</th>
                <th className="num">Share</th>
                <th>Over time</th>
                <th>Pattern</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {list.map((found) => (
                <tr key={`${found.level} ${found.pattern}`}>
                  <td className="num">{formatCount(found.total)}</td>
                  <td className="num muted">{formatPercent(found.total / total)}</td>
                  <td>
                    <Sparkline values={found.counts} color={levelColor(found.level)} />
                  </td>
                  <td className={`mono pattern-text level-${found.level}`}>
                    <Shape found={found} />
                  </td>
                  <td className="pattern-buttons">
                    <Button small icon="plus" title="Only lines of this pattern" onClick={() => only(found.pattern)} />
                    <Button small icon="minus" title="Without lines of this pattern" onClick={() => onQuery(addLineFilter(query, "!>", found.pattern))} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

/** The pattern with what differs between lines set apart. */
function Shape({ found }: { found: LogPattern }) {
  const parts = found.pattern.split("<_>");
  return (
    <>
      {parts.map((part, i) => (
        <span key={i}>
          {i > 0 && <i className="pattern-gap">…</i>}
          {part}
        </span>
      ))}
    </>
  );
}
