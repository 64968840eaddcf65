import { memo } from "react";
import type { LogRow } from "../api/loki";
import type { Labels } from "../lib/format";
import { prettyJson } from "../lib/format";
import { isFieldName } from "../lib/logql";
import { formatClock, formatDateTime } from "../lib/time";
import { Breakable, Button, CopyButton, Link } from "./basics";
import { Icon } from "./icons";
import { levelColor } from "./VolumeChart";

export type FieldKind = "stream" | "field";

interface Props {
  row: LogRow;
  open: boolean;
  active: boolean;
  wrap: boolean;
  withDate: boolean;
  color: string;
  onToggle: (row: LogRow) => void;
  onFilter: (kind: FieldKind, name: string, value: string, match: "=" | "!=") => void;
}

export const LogLine = memo(function LogLine(props: Props) {
  const { row, open, active, wrap, withDate, color, onToggle } = props;
  const service = row.stream.service_name ?? row.stream.job ?? row.stream.app ?? "";
  return (
    <div className={`log-row ${open ? "open" : ""} ${active ? "active" : ""} ${wrap ? "wrap" : ""}`}>
      <div
        className="log-line"
        onClick={() => {
          // Marking text with the mouse must not open the row.
          if (window.getSelection()?.isCollapsed !== false) onToggle(row);
        }}
      >
        <span className="log-level" style={{ background: levelColor(row.level) }} title={row.level} />
        <time className="log-time mono" dateTime={new Date(row.ms).toISOString()}>{withDate ? `${formatDateTime(row.ms).slice(5)}` : formatClock(row.ms, true)}</time>
        {service && (
          <span className="log-service" style={{ color }} title={service}>
            {service}
          </span>
        )}
        <span className={`log-text mono level-${row.level}`}>
          {row.line || <i className="faint">empty line</i>}
          {inlineFields(row).map(([name, value]) => (
            <span key={name} className="log-field">
              {" "}
              {name}=<span>{value}</span>
            </span>
          ))}
        </span>
        {row.traceId && (
          <Link to={`/traces/${row.traceId}`} params={row.spanId ? { span: row.spanId } : {}} className="log-trace" title={`Trace ${row.traceId}`}>
            <Icon name="traces" size={14} />
          </Link>
        )}
      </div>
      {open && <Details {...props} />}
    </div>
  );
});

/** What every record has, or what the row shows already. */
const boilerplate =
  /^(detected_level|level|flags|observed_timestamp|severity_\w+|trace_?id|span_?id|scope_\w+|service_\w+|telemetry_\w+|process_\w+|host_\w+|os_\w+|k8s_\w+|container_\w+)$/i;

const inlineLimit = 6;

/** The record's own fields, shown after its line: often they say more than the text. */
function inlineFields(row: LogRow): [string, string][] {
  return Object.entries({ ...row.metadata, ...row.parsed })
    .filter(([name, value]) => !boilerplate.test(name) && value !== "" && value.length <= 80 && !row.line.includes(value))
    .slice(0, inlineLimit);
}

function Details({ row, onFilter }: Props) {
  const pretty = prettyJson(row.line);
  return (
    <div className="log-details">
      <div className="log-details-head">
        <span className="muted mono small">{formatDateTime(row.ms)}.{row.nanos.slice(-9)}</span>
        <CopyButton text={row.line} label="Copy line" />
        {row.traceId && (
          <Link to={`/traces/${row.traceId}`} params={row.spanId ? { span: row.spanId } : {}} className="button button-small button-plain">
            <Icon name="traces" size={14} />
            Open trace
          </Link>
        )}
      </div>
      {pretty && <pre className="log-json">{pretty}</pre>}
      {!pretty && row.line.length > 160 && <pre className="log-json">{row.line}</pre>}
      <div className="field-groups">
        <Fields title="Labels" kind="stream" fields={row.stream} onFilter={onFilter} />
        <Fields title="Fields" kind="field" fields={row.metadata} onFilter={onFilter} />
        <Fields title="Parsed by the query" kind="field" fields={row.parsed} onFilter={onFilter} />
      </div>
    </div>
  );
}

function Fields({
  title,
  kind,
  fields,
  onFilter,
}: {
  title: string;
  kind: FieldKind;
  fields: Labels;
  onFilter: Props["onFilter"];
}) {
  const names = Object.keys(fields).sort();
  if (names.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      {names.map((name) => {
        const value = fields[name] ?? "";
        const isTrace = /^trace_?id$/i.test(name) && /^[0-9a-f]{32}$/i.test(value);
        return (
          <div key={name} className="field-row">
            <span className="field-buttons">
              {isFieldName(name) && (
                <>
                  <Button kind="ghost" small icon="filter" title={`Only ${name} = ${value}`} onClick={() => onFilter(kind, name, value, "=")} />
                  <Button kind="ghost" small icon="filterOut" title={`Not ${name} = ${value}`} onClick={() => onFilter(kind, name, value, "!=")} />
                </>
              )}
              <CopyButton text={value} />
            </span>
            <span className="field-name mono"><Breakable text={name} /></span>
            <span className="field-value mono">{isTrace ? <Link to={`/traces/${value}`}>{value}</Link> : value}</span>
          </div>
        );
      })}
    </section>
  );
}
