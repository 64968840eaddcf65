import type { DataQuery, DataSourceJsonData } from '@grafana/data';

export const pluginId = 'belfry-belfry-datasource';

export type QueryType =
  | 'metrics'
  | 'logs'
  | 'traces'
  | 'annotations'
  | 'incidents'
  | 'oncall'
  | 'slo'
  | 'cardinality'
  | 'patterns'
  | 'serviceMap';

export type Signal = 'metrics' | 'logs' | 'traces';

/** An ad-hoc filter of a dashboard. The backend joins it into the expression. */
export interface Filter {
  key: string;
  operator: string;
  value: string;
  values?: string[];
}

/** An objective that a query states: see pkg/plugin/query_slo.go. */
export interface Objective {
  name?: string;
  objective?: number;
  window?: string;
  bad?: string;
  total?: string;
  ratio?: string;
}

/** A query as it is stored in dashboards and sent to the backend, which documents each field. */
export interface BelfryQuery extends DataQuery {
  queryType?: QueryType | string;
  expr?: string;
  editorMode?: 'builder' | 'code';

  filters?: Filter[];
  groupBy?: string[];

  mode?: 'range' | 'instant' | 'both';
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat?: string;
  interval?: string;
  exemplars?: boolean;

  maxLines?: number;
  direction?: 'backward' | 'forward';
  purpose?: 'volume' | 'sample' | 'context';
  anchor?: { nanos: string; id: string };

  limit?: number;
  spansPerTrace?: number;
  table?: 'traces' | 'spans';

  source?: 'deploys' | 'incidents' | 'silences' | 'alerts' | 'metrics' | 'logs';
  title?: string;
  status?: string;
  severity?: string;
  service?: string;
  search?: string;
  incident?: string;
  view?: string;
  schedule?: string;

  slo?: Objective;
}

export interface Target {
  uid?: string;
  type?: string;
}

export interface DerivedField {
  name: string;
  matcherType?: 'label' | 'regex';
  matcher: string;
  title?: string;
  url?: string;
  datasourceUid?: string;
  datasourceType?: string;
}

/** The options of a data source: jsonData, all of it optional. */
export interface BelfryOptions extends DataSourceJsonData {
  tenant?: string;
  scrapeInterval?: string;
  maxLines?: number;
  traceLimit?: number;
  exemplars?: boolean;
  nodeGraph?: boolean;
  timeShift?: string;
  externalUrl?: string;
  targets?: { metrics?: Target; logs?: Target; traces?: Target };
  derivedFields?: DerivedField[];
}

/** A variable asks for names or values. */
export interface VariableQuery extends DataQuery {
  signal?: Signal;
  kind?: 'names' | 'values' | 'metrics' | 'schedules';
  name?: string;
  match?: string;
  limit?: number;
}

export interface Item {
  text: string;
  kind?: string;
  detail?: string;
}

export interface Verdict {
  valid: boolean;
  message?: string;
  from: number;
  to: number;
}
