import { formatNanos } from "../lib/format";
import { addFieldFilter } from "../lib/logql";
import type { ParamValues } from "../lib/urlstate";
import { formatDateTime, minute } from "../lib/time";
import { isException, type Attribute, type Span, type Trace } from "../lib/trace";
import { attributeName } from "../lib/traceql";
import type { Row } from "../lib/waterfall";
import { Breakable, Button, CopyButton, Dot, Link, Tag } from "./basics";
import { Icon } from "./icons";

/** The query for a trace's log lines, or one span's, with room for late ones. */
export function logsOf(trace: Trace, span?: Span): ParamValues {
  let query = addFieldFilter("{}", "trace_id", "=", trace.id);
  if (span) query = addFieldFilter(query, "span_id", "=", span.id);
  const from = trace.startMs - 5 * minute;
  const to = trace.startMs + trace.duration / 1e6 + 5 * minute;
  return { q: query, from: String(Math.floor(from)), to: String(Math.ceil(to)), refresh: null };
}

const traceQuote = (text: string) => (/^-?\d+(\.\d+)?$/.test(text) ? text : JSON.stringify(text));

/** Everything about one span. */
export function SpanPanel({
  row,
  trace,
  color,
  onClose,
}: {
  row: Row;
  trace: Trace;
  color: string;
  onClose: () => void;
}) {
  const { span } = row;
  return (
    <aside className="span-panel" aria-label="Span">
      <header>
        <div>
          <h2>{span.name}</h2>
          <p className="muted">
            <Dot color={color} /> {span.service}
          </p>
        </div>
        <Button kind="ghost" icon="close" title="Close (Esc)" onClick={onClose} />
      </header>
      <div className="span-panel-body">
        <div className="span-facts">
          <Fact label="Duration" value={formatNanos(span.duration)} />
          <Fact label="Own time" value={formatNanos(row.selfTime)} />
          <Fact label="Starts at" value={`+${formatNanos(span.start)}`} />
          <Fact label="Kind" value={span.kind} />
        </div>
        {span.error && (
          <div className="error-box">
            <Icon name="error" />
            <pre>{span.statusMessage || "The span's status is error"}</pre>
          </div>
        )}
        {row.orphan && <div className="notice">Its parent span {span.parentId} has not arrived.</div>}
        <div className="span-links">
          <Link to="/logs" params={logsOf(trace, span)} className="button button-small button-plain">
            <Icon name="logs" size={14} /> Logs of this span
          </Link>
          <Link to="/logs" params={logsOf(trace)} className="button button-small button-plain">
            <Icon name="logs" size={14} /> Logs of the trace
          </Link>
          <Link
            to="/traces"
            params={{ service: span.service, operation: span.name }}
            className="button button-small button-plain"
          >
            <Icon name="traces" size={14} /> Similar spans
          </Link>
        </div>
        <Attributes title="Attributes" scope="span" list={span.attributes} />
        {span.events.length > 0 && (
          <section className="span-section">
            <h3>Events</h3>
            {span.events.map((event, i) => (
              // Events have no identity but their place.
              // oxlint-disable-next-line react/no-array-index-key
              <details key={i} open={isException(event)} className={isException(event) ? "event exception" : "event"}>
                <summary>
                  <span className="mono muted">+{formatNanos(event.offset)}</span> <b>{event.name}</b>
                  {isException(event) && <Tag tone="bad">exception</Tag>}
                </summary>
                <AttributeRows list={event.attributes} />
              </details>
            ))}
          </section>
        )}
        {span.links.length > 0 && (
          <section className="span-section">
            <h3>Links</h3>
            {span.links.map((link) => (
              <div key={link.traceId + link.spanId} className="event">
                <Link to={`/traces/${link.traceId}`} params={{ span: link.spanId }} className="mono">
                  {link.traceId}
                </Link>
                <AttributeRows list={link.attributes} />
              </div>
            ))}
          </section>
        )}
        <Attributes title="Resource" scope="resource" list={span.resource} />
        <section className="span-section">
          <h3>Identity</h3>
          <AttributeRows
            list={[
              { key: "span id", value: span.id },
              { key: "parent id", value: span.parentId || "none" },
              { key: "started", value: formatDateTime(trace.startMs + span.start / 1e6) },
              { key: "scope", value: span.scope || "none" },
            ]}
          />
        </section>
      </div>
    </aside>
  );
}

function Fact({ label, value }: { label: string; value: string }) {
  return (
    <div>
      <span>{label}</span>
      <b>{value}</b>
    </div>
  );
}

function Attributes({ title, scope, list }: { title: string; scope: string; list: Attribute[] }) {
  if (list.length === 0) return null;
  return (
    <section className="span-section">
      <h3>{title}</h3>
      <AttributeRows list={list} scope={scope} />
    </section>
  );
}

function AttributeRows({ list, scope }: { list: Attribute[]; scope?: string }) {
  return (
    <div className="attributes">
      {list.map(({ key, value }) => (
        <div key={key} className="field-row">
          <span className="field-name mono"><Breakable text={key} /></span>
          <span className={value.includes("\n") ? "field-value mono multi" : "field-value mono"}>{value}</span>
          <span className="field-buttons">
            {scope && (
              <Link
                to="/traces"
                params={{ q: `{ ${attributeName(`${scope}.${key}`)} = ${traceQuote(value)} }` }}
                className="button button-small button-ghost button-icon"
                title={`Traces with ${key} = ${value}`}
              >
                <Icon name="search" size={13} />
              </Link>
            )}
            <CopyButton text={value} />
          </span>
        </div>
      ))}
    </div>
  );
}
