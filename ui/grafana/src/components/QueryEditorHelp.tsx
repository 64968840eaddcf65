import type { QueryEditorHelpProps } from '@grafana/data';
import React from 'react';

import type { BelfryQuery } from '../types';

const examples: Array<{ title: string; query: Omit<BelfryQuery, 'refId'> }> = [
  { title: 'Request rate by service', query: { queryType: 'metrics', expr: 'sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[$__rate_interval]))' } },
  { title: 'The slowest 5 % of requests', query: { queryType: 'metrics', expr: 'histogram_quantile(0.95, sum by (le, service) (rate(traces_spanmetrics_latency_bucket[$__rate_interval])))' } },
  { title: 'All lines', query: { queryType: 'logs', expr: '{}' } },
  { title: 'Errors of one service', query: { queryType: 'logs', expr: '{service_name="checkout"} | detected_level="error"' } },
  { title: 'Lines with a text', query: { queryType: 'logs', expr: '{} |= "refused"' } },
  { title: 'Lines a second by level', query: { queryType: 'logs', expr: 'sum by (detected_level) (rate({} [$__auto]))' } },
  { title: 'Traces with an error', query: { queryType: 'traces', expr: '{ status = error }' } },
  { title: 'Slow calls of a database', query: { queryType: 'traces', expr: '{ span.db.system != nil && duration > 100ms }' } },
  { title: 'Errors a second from spans', query: { queryType: 'traces', expr: '{ status = error } | rate() by (resource.service.name)' } },
  { title: 'Who calls whom', query: { queryType: 'serviceMap' } },
  { title: 'What is open', query: { queryType: 'incidents', status: 'triggered' } },
];

/** Queries to begin with. */
export function QueryEditorHelp({ onClickExample }: QueryEditorHelpProps<BelfryQuery>) {
  return (
    <div>
      <h2>Queries to begin with</h2>
      {examples.map(({ title, query }) => (
        <div key={title} style={{ marginBottom: 12 }}>
          <strong>{title}</strong>
          <button
            style={{ display: 'block', fontFamily: 'monospace', textAlign: 'left', background: 'none', border: 'none', color: 'inherit', cursor: 'pointer', padding: 0 }}
            onClick={() => onClickExample({ refId: 'A', ...query })}
          >
            {query.expr ?? query.queryType}
          </button>
        </div>
      ))}
      <p>Shift+Enter or Ctrl+Enter runs a query. Ctrl+Space shows what can be typed.</p>
    </div>
  );
}
