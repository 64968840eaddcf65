// Writes the dashboards that come with the plugin into src/dashboards/. They are
// said here in short; a test holds the files against what is said.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ds = { type: 'belfry-belfry-datasource', uid: '${datasource}' };

const query = (queryType, expr, rest = {}) => ({ queryType, expr, ...rest });
const metrics = (expr, legendFormat = '__auto', rest = {}) => query('metrics', expr, { mode: 'range', legendFormat, ...rest });
const instant = (expr, legendFormat = '__auto') => query('metrics', expr, { mode: 'instant', legendFormat });

/** A panel: width of 24, height, title, kind, unit, its queries. */
function panel(w, h, type, title, unit, targets, { options = {}, custom = {}, description, thresholds } = {}) {
  const defaults = { unit, custom, ...(thresholds ? { thresholds: { mode: 'absolute', steps: thresholds }, color: { mode: 'thresholds' } } : {}) };
  return { w, h, type, title, description, options, fieldConfig: { defaults, overrides: [] }, targets: Array.isArray(targets) ? targets : [targets] };
}
const lines = (w, h, title, unit, targets, more = {}) =>
  panel(w, h, 'timeseries', title, unit, targets, {
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    custom: { fillOpacity: 8, lineWidth: 1, showPoints: 'never' },
    ...more,
  });
const bars = (w, h, title, unit, targets) =>
  panel(w, h, 'timeseries', title, unit, targets, { custom: { drawStyle: 'bars', fillOpacity: 70, lineWidth: 0, stacking: { mode: 'normal' } } });
const stat = (w, h, title, unit, targets, more = {}) =>
  panel(w, h, 'stat', title, unit, targets, { options: { reduceOptions: { calcs: ['lastNotNull'] }, graphMode: 'area' }, ...more });
const table = (w, h, title, targets, more = {}) => panel(w, h, 'table', title, undefined, targets, { custom: { filterable: true }, ...more });

const dsVariable = { name: 'datasource', label: 'Belfry', type: 'datasource', query: 'belfry-belfry-datasource', refresh: 1, current: {} };
const variable = (name, label, q) => ({
  name, label, type: 'query', datasource: ds, query: { refId: 'A', ...q }, refresh: 2, includeAll: true, allValue: '.*', multi: true, sort: 1,
  current: { text: ['All'], value: ['$__all'] },
});
const filters = { name: 'filters', label: 'Filters', type: 'adhoc', datasource: ds, filters: [] };
const service = variable('service', 'Service', { kind: 'values', signal: 'metrics', name: 'service', match: 'traces_spanmetrics_calls_total' });

const annotation = (name, source, iconColor) => ({ name, enable: true, iconColor, datasource: ds, target: { refId: 'Anno', queryType: 'annotations', source } });
const annotations = [annotation('Deploys', 'deploys', 'blue'), annotation('Incidents', 'incidents', 'red'), annotation('Silences', 'silences', 'gray')];

function dashboard(uid, title, variables, panels) {
  let x = 0;
  let y = 0;
  let row = 0;
  const placed = panels.map(({ w, h, targets, ...rest }, i) => {
    if (x + w > 24) {
      x = 0;
      y += row;
      row = 0;
    }
    const gridPos = { x, y, w, h };
    x += w;
    row = Math.max(row, h);
    return { id: i + 1, datasource: ds, gridPos, targets: targets.map((t, j) => ({ refId: String.fromCharCode(65 + j), datasource: ds, ...t })), ...rest };
  });
  return {
    uid, title, tags: ['belfry'], schemaVersion: 41, version: 1, editable: true, graphTooltip: 1, refresh: '30s',
    time: { from: 'now-1h', to: 'now' }, timezone: 'browser',
    annotations: { list: annotations }, templating: { list: [dsVariable, ...variables] },
    links: [{ type: 'dashboards', title: 'Belfry', tags: ['belfry'], asDropdown: true, includeVars: true, keepTime: true }],
    panels: placed,
  };
}

const calls = 'traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", service=~"$service"}';
const failed = 'traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", status_code="STATUS_CODE_ERROR", service=~"$service"}';
const latency = (q, by) => `histogram_quantile(${q}, sum by (le${by}) (rate(traces_spanmetrics_latency_bucket{span_kind="SPAN_KIND_SERVER", service=~"$service"}[$__rate_interval])))`;
const good = [{ color: 'green', value: null }, { color: 'orange', value: 0.01 }, { color: 'red', value: 0.05 }];

export const dashboards = {
  services: dashboard('belfry-services', 'Services: rate, errors, duration', [service, filters], [
    stat(6, 4, 'Requests', 'reqps', metrics(`sum(rate(${calls}[$__rate_interval]))`, 'requests')),
    stat(6, 4, 'Share that failed', 'percentunit', metrics(`(sum(rate(${failed}[$__rate_interval])) or vector(0)) / sum(rate(${calls}[$__rate_interval]))`, 'failed'), { thresholds: good }),
    stat(6, 4, 'Slowest 5 %', 's', metrics(latency(0.95, ''), '95 %')),
    stat(6, 4, 'Open incidents', 'none', instant('sum(belfry_incidents_open)', 'open'), { thresholds: [{ color: 'green', value: null }, { color: 'red', value: 1 }] }),
    lines(8, 8, 'Requests by service', 'reqps', metrics(`sum by (service) (rate(${calls}[$__rate_interval]))`, '{{service}}', { exemplars: true })),
    lines(8, 8, 'Share that failed by service', 'percentunit', metrics(`sum by (service) (rate(${failed}[$__rate_interval])) / sum by (service) (rate(${calls}[$__rate_interval]))`, '{{service}}')),
    lines(8, 8, 'Slowest 5 % by service', 's', metrics(latency(0.95, ', service'), '{{service}}', { exemplars: true })),
    panel(12, 12, 'nodeGraph', 'Who calls whom', undefined, query('serviceMap', '')),
    table(12, 12, 'Error budgets', query('slo', '', { slo: { name: 'requests', objective: 99.9, window: '30d' } })),
    table(24, 8, 'Operations', query('metrics', `topk(50, sum by (service, span_name) (rate(${calls}[$__rate_interval])))`, { mode: 'instant', format: 'table' })),
    table(12, 9, 'Traces that failed', query('traces', '{ status = error && resource.service.name =~ "$service" }', { limit: 20 })),
    panel(12, 9, 'logs', 'Lines of errors', undefined, query('logs', '{service_name=~"$service"} | detected_level=~"error|fatal|critical"', { maxLines: 100 }), { options: { showTime: true, wrapLogMessage: true, enableLogDetails: true } }),
  ]),
  logs: dashboard('belfry-logs', 'Logs', [variable('service', 'Service', { kind: 'values', signal: 'logs', name: 'service_name' }), filters], [
    bars(24, 6, 'Lines by level', 'short', query('logs', 'sum by (detected_level) (count_over_time({service_name=~"$service"} [$__auto]))', { legendFormat: '{{detected_level}}' })),
    lines(12, 8, 'Lines a second by service', 'cps', query('logs', 'sum by (service_name) (rate({service_name=~"$service"} [$__auto]))', { legendFormat: '{{service_name}}' })),
    lines(12, 8, 'Bytes a second by service', 'Bps', query('logs', 'sum by (service_name) (bytes_rate({service_name=~"$service"} [$__auto]))', { legendFormat: '{{service_name}}' })),
    table(24, 9, 'Patterns', query('patterns', '{service_name=~"$service"}', { format: 'table' })),
    panel(24, 14, 'logs', 'Lines', undefined, query('logs', '{service_name=~"$service"}', { maxLines: 200 }), { options: { showTime: true, wrapLogMessage: true, enableLogDetails: true } }),
  ]),
  traces: dashboard('belfry-traces', 'Traces', [variable('service', 'Service', { kind: 'values', signal: 'traces', name: 'resource.service.name' }), filters], [
    lines(8, 8, 'Spans a second by service', 'cps', query('traces', '{ resource.service.name =~ "$service" } | rate() by (resource.service.name)')),
    lines(8, 8, 'Errors a second by service', 'cps', query('traces', '{ status = error && resource.service.name =~ "$service" } | rate() by (resource.service.name)')),
    lines(8, 8, 'Duration of what servers did', 's', query('traces', '{ kind = server && resource.service.name =~ "$service" } | quantile_over_time(duration, 0.5, 0.95, 0.99)')),
    table(12, 10, 'Slow traces', query('traces', '{ traceDuration > 500ms && resource.service.name =~ "$service" }', { limit: 20 })),
    table(12, 10, 'Traces that failed', query('traces', '{ status = error && resource.service.name =~ "$service" }', { limit: 20 })),
    panel(24, 12, 'nodeGraph', 'Who calls whom', undefined, query('serviceMap', '')),
  ]),
  hosts: dashboard('belfry-hosts', 'Hosts', [variable('host', 'Host', { kind: 'values', signal: 'metrics', name: 'host_name' }), filters], [
    lines(12, 8, 'Processors in use', 'percentunit', metrics('1 - (sum by (host_name) (rate(system_cpu_time_seconds_total{state="idle", host_name=~"$host"}[$__rate_interval])) / sum by (host_name) (rate(system_cpu_time_seconds_total{host_name=~"$host"}[$__rate_interval])))', '{{host_name}}')),
    lines(12, 8, 'Load of one minute', 'short', metrics('sum by (host_name) (system_cpu_load_average_1m{host_name=~"$host"})', '{{host_name}}')),
    lines(12, 8, 'Memory by state', 'bytes', metrics('sum by (host_name, state) (system_memory_usage_bytes{host_name=~"$host"})', '{{host_name}} {{state}}')),
    lines(12, 8, 'File systems in use', 'percentunit', metrics('sum by (host_name, mountpoint) (system_filesystem_usage_bytes{state="used", host_name=~"$host"}) / sum by (host_name, mountpoint) (system_filesystem_usage_bytes{host_name=~"$host"})', '{{host_name}} {{mountpoint}}')),
    lines(12, 8, 'Disks', 'Bps', metrics('sum by (host_name, direction) (rate(system_disk_io_bytes_total{host_name=~"$host"}[$__rate_interval]))', '{{host_name}} {{direction}}')),
    lines(12, 8, 'Network', 'Bps', metrics('sum by (host_name, direction) (rate(system_network_io_bytes_total{host_name=~"$host"}[$__rate_interval]))', '{{host_name}} {{direction}}')),
  ]),
  belfry: dashboard('belfry-itself', 'Belfry itself', [filters], [
    stat(6, 4, 'Series', 'short', metrics('sum(prometheus_tsdb_head_series)', 'series')),
    stat(6, 4, 'Rows of logs and spans', 'short', metrics('sum(belfry_columnar_part_rows) + sum(belfry_columnar_memtable_rows)', 'rows')),
    stat(6, 4, 'Memory', 'bytes', metrics('sum(process_resident_memory_bytes{service_name="belfry"})', 'resident')),
    stat(6, 4, 'Free disk', 'bytes', metrics('min(belfry_metrics_disk_free_bytes)', 'free')),
    lines(12, 8, 'Records taken', 'cps', metrics('sum by (signal) (rate(belfry_collector_records_total[$__rate_interval]))', '{{signal}}')),
    lines(12, 8, 'Refused or failed', 'cps', [metrics('sum(rate(belfry_collector_append_failures_total[$__rate_interval]))', 'appends that failed'), metrics('sum(rate(belfry_columnar_rows_rejected_total[$__rate_interval]))', 'rows rejected')]),
    lines(12, 8, 'Requests', 'reqps', metrics('sum by (route) (rate(belfry_http_request_duration_seconds_count[$__rate_interval]))', '{{route}}')),
    lines(12, 8, 'Slowest 5 % of requests', 's', metrics('histogram_quantile(0.95, sum by (le) (rate(belfry_http_request_duration_seconds_bucket[$__rate_interval])))', '95 %')),
    lines(12, 8, 'Processor', 'short', metrics('sum(rate(process_cpu_seconds_total{service_name="belfry"}[$__rate_interval]))', 'cores')),
    lines(12, 8, 'Size on disk', 'bytes', metrics('sum by (signal) (belfry_columnar_part_bytes)', '{{signal}}')),
    table(12, 10, 'Metrics with the most series', query('cardinality', '', { view: 'metrics' })),
    table(12, 10, 'Labels with the most values', query('cardinality', '', { view: 'labels' })),
    panel(24, 10, 'logs', 'What Belfry says', undefined, query('logs', '{service_name="belfry"}', { maxLines: 100 }), { options: { showTime: true } }),
  ]),
  oncall: dashboard('belfry-oncall', 'On call', [], [
    table(12, 7, 'Who is on call', query('oncall', '', { view: 'now' })),
    stat(6, 7, 'Open incidents', 'none', instant('sum(belfry_incidents_open)', 'open'), { thresholds: [{ color: 'green', value: null }, { color: 'red', value: 1 }] }),
    stat(6, 7, 'Half are acknowledged within', 's', metrics('histogram_quantile(0.5, sum by (le) (rate(belfry_incident_acknowledge_seconds_bucket[$__range])))', 'median')),
    panel(24, 7, 'state-timeline', 'Shifts', undefined, query('oncall', '', { view: 'shifts' }), { options: { mergeValues: true, showValue: 'always' } }),
    table(24, 12, 'Incidents', query('incidents', '')),
    lines(12, 8, 'Notifications', 'cps', metrics('sum by (method, outcome) (rate(belfry_notifications_total[$__rate_interval]))')),
    lines(12, 8, 'Waiting to be sent', 'short', metrics('sum(belfry_notification_outbox_depth)', 'notifications')),
  ]),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dir = join(dirname(fileURLToPath(import.meta.url)), '../src/dashboards');
  for (const [name, value] of Object.entries(dashboards)) {
    writeFileSync(join(dir, `${name}.json`), `${JSON.stringify(value, null, 1)}\n`);
  }
}
