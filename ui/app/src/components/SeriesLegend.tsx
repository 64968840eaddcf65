import { useMemo, useState } from "react";
import { formatNumber, type Labels } from "../lib/format";
import { summarize, type MatrixSeries } from "../lib/matrix";
import { Button, LabelTags } from "./basics";
import type { ChartSeries } from "./TimeChart";

const shownAtFirst = 40;

/** The chart's series with their figures; a click shows one alone, the eye hides it. */
export function SeriesLegend({
  lines,
  series,
  common,
  onToggle,
  format = formatNumber,
}: {
  lines: MatrixSeries[];
  series: ChartSeries[];
  common: Labels;
  onToggle: (index: number, alone: boolean) => void;
  format?: (value: number) => string;
}) {
  const [all, setAll] = useState(false);
  const figures = useMemo(() => lines.map((line) => summarize(line.points)), [lines]);
  const count = all ? series.length : Math.min(series.length, shownAtFirst);
  const shared = Object.keys(common).length > 0;
  return (
    <div className="legend">
      {shared && (
        <div className="legend-common">
          <span className="muted small">In all:</span> <LabelTags labels={common} />
        </div>
      )}
      <div className="table-scroll">
        <table>
          <thead>
            <tr>
              <th>Series</th>
              <th className="num">Last</th>
              <th className="num">Min</th>
              <th className="num">Mean</th>
              <th className="num">Max</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {series.slice(0, count).map((one, i) => (
              <tr key={one.name + one.color} className={one.hidden ? "legend-row hidden" : "legend-row"}>
                <td>
                  <button
                    type="button"
                    className="legend-name"
                    title="Click: this one alone. Ctrl click: hide or show."
                    onClick={(event) => onToggle(i, !(event.ctrlKey || event.metaKey))}
                  >
                    <span className="dot" style={{ background: one.color }} />
                    <span className="mono">{one.name}</span>
                  </button>
                </td>
                <td className="num mono">{format(figures[i]?.last ?? NaN)}</td>
                <td className="num mono muted">{format(figures[i]?.min ?? NaN)}</td>
                <td className="num mono muted">{format(figures[i]?.mean ?? NaN)}</td>
                <td className="num mono muted">{format(figures[i]?.max ?? NaN)}</td>
                <td className="num">
                  <Button
                    kind="ghost"
                    small
                    icon={one.hidden ? "eyeOff" : "eye"}
                    title={one.hidden ? "Show" : "Hide"}
                    onClick={() => onToggle(i, false)}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {count < series.length && (
        <Button kind="ghost" onClick={() => setAll(true)}>
          Show all {series.length} series
        </Button>
      )}
    </div>
  );
}
