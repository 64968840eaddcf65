import {
  type AbstractQuery,
  type AdHocVariableFilter,
  type CoreApp,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceGetDrilldownsApplicabilityOptions,
  type DataSourceGetTagKeysOptions,
  type DataSourceGetTagValuesOptions,
  type DataSourceInstanceSettings,
  type LogRowContextOptions,
  type LogRowModel,
  type MetricFindValue,
  type QueryFilterOptions,
  type QueryFixAction,
  type ScopedVars,
  type SupplementaryQueryOptions,
  type SupplementaryQueryType,
  type TimeRange,
  type ToggleFilterAction,
} from '@grafana/data';
import { DataSourceWithBackend, getTemplateSrv } from '@grafana/runtime';
import React from 'react';
import { catchError, defer, firstValueFrom, map, type Observable, of } from 'rxjs';

import { fromAbstract, toAbstract } from './abstract';
import { applicability, others, signalOf } from './adhoc';
import { LogContextUi } from './components/LogContextUi';
import { finish, labelKind } from './frames';
import { formatValue, interpolate, keepMacros } from './interpolate';
import { failed, follow } from './live';
import { contextQuery, contextRequest, streamLabels } from './logContext';
import { hasFilter, modifications, modify, toggleFilter } from './modify';
import { defaultQuery, displayText, isComplete } from './query';
import { type FilledOptions, withDefaults } from './settings';
import { supplementaryQuery, supplementaryRequest, supplementaryTypes } from './supplementary';
import type { BelfryOptions, BelfryQuery, Filter, Item, Signal, VariableQuery, Verdict } from './types';
import { BelfryVariables } from './variables';

/** How many names or values a list asks for: more than anybody scrolls through. */
const listLimit = 1000;

export interface ListQuery {
  signal?: Signal;
  name?: string;
  match?: string;
  search?: string;
  filters?: Filter[];
  limit?: number;
  range?: TimeRange;
}

/** Belfry as one data source for metrics, logs, traces, alerts and on-call. */
export class BelfryDatasource extends DataSourceWithBackend<BelfryQuery, BelfryOptions> {
  readonly options: FilledOptions;

  /** Annotations are queries like others; Grafana picks time, timeEnd, title, text and tags. */
  annotations = {
    getDefaultQuery: (): BelfryQuery => ({ refId: 'Anno', queryType: 'annotations', source: 'deploys' }),
    prepareQuery: (annotation: { target?: BelfryQuery }): BelfryQuery | undefined =>
      annotation.target ? { ...annotation.target, queryType: annotation.target.queryType ?? 'annotations' } : undefined,
  };

  supportsAdjustableWindow = true;

  /** The labels that a reader of a context chose, by row. */
  private readonly contextLabels = new Map<string, Record<string, string>>();

  constructor(settings: DataSourceInstanceSettings<BelfryOptions>) {
    super(settings);
    this.options = withDefaults(settings.jsonData);
    this.variables = new BelfryVariables(this);
  }

  getDefaultQuery(app: CoreApp): Partial<BelfryQuery> {
    return defaultQuery(app);
  }

  filterQuery(query: BelfryQuery): boolean {
    return isComplete(query);
  }

  getQueryDisplayText(query: BelfryQuery): string {
    return displayText(query);
  }

  query(request: DataQueryRequest<BelfryQuery>): Observable<DataQueryResponse> {
    if (request.liveStreaming) {
      const targets = request.targets.map((q) => this.applyTemplateVariables(q, request.scopedVars, request.filters));
      return follow(this.uid, { ...request, targets }, this.options.maxLines);
    }
    const groupBy = (request as { groupByKeys?: string[] }).groupByKeys;
    const targets = groupBy?.length ? request.targets.map((q) => ({ ...q, groupBy })) : request.targets;
    // What is thrown at once fails the query as well, and leaves no panel waiting.
    return defer(() => super.query({ ...request, targets })).pipe(
      map((response) => finish(response, this.options.timeShift)),
      catchError((err: unknown) => of(failed(request.targets[0]?.refId ?? 'A', err)))
    );
  }

  applyTemplateVariables(query: BelfryQuery, scopedVars: ScopedVars, filters?: AdHocVariableFilter[]): BelfryQuery {
    const srv = getTemplateSrv();
    return interpolate(query, scopedVars, srv.replace.bind(srv), filters, query.groupBy);
  }

  /** For Explore, which has neither the dashboard's variables nor its filters. */
  interpolateVariablesInQueries(queries: BelfryQuery[], scopedVars: ScopedVars, filters?: AdHocVariableFilter[]): BelfryQuery[] {
    return queries.map((query) => ({ ...this.applyTemplateVariables(query, scopedVars, filters), datasource: this.getRef() }));
  }

  // Lists for editors, variables and filters.

  private listParams({ signal, name, match, search, filters, limit, range }: ListQuery): Record<string, string | number> {
    const params: Record<string, string | number> = { limit: limit ?? listLimit };
    const set = (key: string, value: string | number | undefined) => {
      if (value !== undefined && value !== '') {
        params[key] = value;
      }
    };
    set('signal', signal);
    set('name', name);
    set('match', match);
    set('search', search);
    set('from', range?.from.valueOf());
    set('to', range?.to.valueOf());
    set('filters', filters?.length ? JSON.stringify(filters) : undefined);
    return params;
  }

  private async list(path: string, query: ListQuery): Promise<Item[]> {
    const params = this.listParams(query);
    const search = params.search ?? '';
    // A list that is asked for again makes the one before it needless.
    const requestId = `belfry-${this.uid}-${path}-${query.signal ?? ''}-${query.name ?? ''}-${search === '' ? 'all' : 'search'}`;
    const answer = await this.getResource<{ items?: Item[] }>(path, params, { requestId, showErrorAlert: false });
    return answer?.items ?? [];
  }

  listNames(query: ListQuery): Promise<Item[]> {
    return this.list('names', query);
  }

  listValues(query: ListQuery): Promise<Item[]> {
    return this.list('values', query);
  }

  listMetrics(query: ListQuery): Promise<Item[]> {
    return this.list('metrics', query);
  }

  listSchedules(): Promise<Item[]> {
    return this.list('schedules', {});
  }

  validate(queryType: string, expr: string): Promise<Verdict> {
    return this.postResource<Verdict>('validate', { queryType, expr }, { showErrorAlert: false });
  }

  async findVariable(query: VariableQuery | undefined, range?: TimeRange, scopedVars?: ScopedVars): Promise<MetricFindValue[]> {
    const replace = (s: string | undefined) => (s ? getTemplateSrv().replace(s, keepMacros(scopedVars), formatValue) : s);
    const ask: ListQuery = {
      signal: query?.signal ?? 'metrics',
      name: replace(query?.name),
      match: replace(query?.match),
      limit: query?.limit,
      range,
    };
    const kind = query?.kind ?? 'values';
    if (kind === 'values' && !ask.name) {
      return [];
    }
    const lists = { names: this.listNames, values: this.listValues, metrics: this.listMetrics, schedules: this.listSchedules };
    return (await lists[kind].call(this, ask)).map(({ text }) => ({ text }));
  }

  /** A variable that is only a string: the name of a label, or label_values(selector, label). */
  metricFindQuery(query: string | VariableQuery, options?: { range?: TimeRange; scopedVars?: ScopedVars }): Promise<MetricFindValue[]> {
    if (typeof query !== 'string') {
      return this.findVariable(query, options?.range, options?.scopedVars);
    }
    const call = /^\s*label_values\(\s*(?:(.+?)\s*,\s*)?([\w.]+)\s*\)\s*$/s.exec(query);
    const wanted: VariableQuery = { refId: 'A', kind: 'values', name: call?.[2] ?? query.trim(), match: call?.[1] };
    return this.findVariable(wanted, options?.range, options?.scopedVars);
  }

  async getTagKeys(options?: DataSourceGetTagKeysOptions<BelfryQuery>): Promise<MetricFindValue[]> {
    const signal = signalOf(options?.queries);
    const names = await this.listNames({ signal, filters: others(options?.filters), range: options?.timeRange });
    return names.filter(({ text }) => text !== '__name__').map(({ text, kind }) => ({ text, group: kind }));
  }

  async getTagValues(options: DataSourceGetTagValuesOptions<BelfryQuery>): Promise<MetricFindValue[]> {
    const { key, queries, filters, timeRange } = options;
    const values = await this.listValues({ signal: signalOf(queries), name: key, filters: others(filters, key), range: timeRange });
    return values.map(({ text }) => ({ text }));
  }

  async getGroupByKeys(options?: DataSourceGetTagKeysOptions<BelfryQuery>): Promise<MetricFindValue[]> {
    return this.getTagKeys(options);
  }

  async getDrilldownsApplicability(options?: DataSourceGetDrilldownsApplicabilityOptions<BelfryQuery>) {
    return applicability(options?.queries ?? [], options?.filters ?? [], options?.groupByKeys ?? []);
  }

  // Explore: volume and sample beside a query.

  getSupportedSupplementaryQueryTypes(): SupplementaryQueryType[] {
    return supplementaryTypes;
  }

  getSupplementaryQuery(options: SupplementaryQueryOptions, query: BelfryQuery): BelfryQuery | undefined {
    return supplementaryQuery(options, query);
  }

  getSupplementaryRequest(type: SupplementaryQueryType, request: DataQueryRequest<BelfryQuery>, options?: SupplementaryQueryOptions) {
    return supplementaryRequest(type, request, options);
  }

  // Explore: a line and its neighbours.

  async getLogRowContext(row: LogRowModel, options?: LogRowContextOptions, query?: BelfryQuery): Promise<DataQueryResponse> {
    const wanted = contextQuery(row, options, this.contextLabelsOf(row), query?.refId);
    const response = await firstValueFrom(this.query(contextRequest(row, options, wanted)));
    const error = response.errors?.[0] ?? response.error;
    if (error) {
      throw new Error(error.message ?? error.data?.message ?? 'the context of the line cannot be read');
    }
    return response;
  }

  async getLogRowContextQuery(row: LogRowModel, options?: LogRowContextOptions, query?: BelfryQuery): Promise<BelfryQuery | null> {
    const { expr, queryType } = contextQuery(row, options, this.contextLabelsOf(row), query?.refId);
    return { refId: query?.refId ?? 'A', expr, queryType };
  }

  getLogRowContextUi(row: LogRowModel, runContextQuery?: () => void): React.ReactNode {
    const onChange = (labels: Record<string, string>) => {
      this.contextLabels.set(row.uid, labels);
      runContextQuery?.();
    };
    return React.createElement(LogContextUi, { all: streamLabels(row), chosen: this.contextLabelsOf(row), onChange });
  }

  private contextLabelsOf(row: LogRowModel): Record<string, string> {
    return this.contextLabels.get(row.uid) ?? streamLabels(row);
  }

  getLabelDisplayTypeFromFrame(label: string, frame: DataFrame | null, index: number | null): string | null {
    return labelKind(label, frame, index);
  }

  // Explore: filters from log details and tables.

  toggleQueryFilter(query: BelfryQuery, filter: ToggleFilterAction): BelfryQuery {
    const { key, value } = filter.options;
    return toggleFilter(query, key, filter.type === 'FILTER_FOR' ? '=' : '!=', value);
  }

  queryHasFilter(query: BelfryQuery, filter: QueryFilterOptions): boolean {
    return hasFilter(query, filter.key, '=', filter.value);
  }

  modifyQuery(query: BelfryQuery, action: QueryFixAction): BelfryQuery {
    return modify(query, action);
  }

  getSupportedQueryModifications(): string[] {
    return modifications;
  }

  // Explore: from and to other data sources.

  async importFromAbstractQueries(queries: AbstractQuery[]): Promise<BelfryQuery[]> {
    return queries.map(fromAbstract);
  }

  async exportToAbstractQueries(queries: BelfryQuery[]): Promise<AbstractQuery[]> {
    return queries.map(toAbstract);
  }
}
