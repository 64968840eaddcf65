import {
  CoreApp, dateTime, type DataQueryRequest, type DataSourceInstanceSettings, FieldType, hasLogsContextSupport, hasLogsContextUiSupport,
  hasLogsLabelTypesSupport, hasQueryModificationSupport, hasSupplementaryQuerySupport, hasToggleableQueryFiltersSupport,
  LoadingState, LogRowContextQueryDirection, type LogRowModel, SupplementaryQueryType, toDataFrame, VariableSupportType,
} from '@grafana/data';
import { setBackendSrv, setDataSourceSrv, setGrafanaLiveSrv, setTemplateSrv } from '@grafana/runtime';
import { firstValueFrom, lastValueFrom, of, throwError } from 'rxjs';

import { BelfryDatasource } from './datasource';
import type { BelfryOptions, BelfryQuery } from './types';

const settings = {
  id: 1, uid: 'u1', type: 'belfry-belfry-datasource', name: 'Belfry', url: '', jsonData: {}, meta: {} as never, access: 'proxy', readOnly: false,
} as unknown as DataSourceInstanceSettings<BelfryOptions>;

const fetches: Array<{ url: string; data?: { queries: BelfryQuery[] }; params?: Record<string, unknown> }> = [];
let answer: () => unknown = () => ({ data: { results: {} } });

setBackendSrv({
  fetch: (o: (typeof fetches)[number]) => {
    fetches.push(o);
    return of(answer()) as never;
  },
} as never);
setTemplateSrv({
  replace: (s: string, vars: Record<string, { value: unknown }> = {}, format?: (v: unknown, o: object) => string) =>
    s.replace(/\$\{?(\w+)\}?/g, (m, name) => {
      const known: Record<string, { value: unknown }> = { svc: { value: ['a.b', 'c"d'] }, one: { value: 'x' }, __interval: { value: '7s' }, ...vars };
      return known[name] ? (format ? format(known[name].value, { multi: Array.isArray(known[name].value) }) : String(known[name].value)) : m;
    }),
} as never);
setDataSourceSrv({ getInstanceSettings: () => settings } as never);

const request = (target: Partial<BelfryQuery>, rest: object = {}): DataQueryRequest<BelfryQuery> => ({
  requestId: 'Q1', app: CoreApp.Explore, interval: '1s', intervalMs: 1000, scopedVars: {}, timezone: 'utc', startTime: 0,
  range: { from: dateTime(0), to: dateTime(1000), raw: { from: '', to: '' } }, targets: [{ refId: 'A', ...target }], ...rest,
});

const ds = new BelfryDatasource(settings);

beforeEach(() => {
  fetches.length = 0;
  answer = () => ({ data: { results: {} } });
});

test('Explore finds every interface that it looks for', () => {
  expect(hasSupplementaryQuerySupport(ds as never, SupplementaryQueryType.LogsVolume)).toBe(true);
  expect(hasSupplementaryQuerySupport(ds as never, SupplementaryQueryType.LogsSample)).toBe(true);
  expect('getDataProvider' in ds).toBe(false); // Explore runs, colours and stacks the volume itself
  expect(hasLogsContextSupport(ds)).toBe(true);
  expect(hasLogsContextUiSupport(ds)).toBe(true);
  expect(hasLogsLabelTypesSupport(ds)).toBe(true);
  expect(hasQueryModificationSupport(ds as never)).toBe(true);
  expect(hasToggleableQueryFiltersSupport(ds as never)).toBe(true);
  for (const name of ['importFromAbstractQueries', 'exportToAbstractQueries', 'getTagKeys', 'getTagValues', 'getGroupByKeys', 'getDrilldownsApplicability', 'metricFindQuery', 'getDefaultQuery', 'filterQuery', 'getQueryDisplayText', 'interpolateVariablesInQueries']) {
    expect(typeof (ds as unknown as Record<string, unknown>)[name]).toBe('function');
  }
  expect(ds.annotations).toBeDefined();
  expect(ds.variables?.getType()).toBe(VariableSupportType.Custom);
});

test('a request goes to the backend with variables filled in and times left to it', async () => {
  await firstValueFrom(ds.query(request({ queryType: 'metrics', expr: 'rate(a{s=~"$svc", t="$one"}[$__rate_interval:$__interval])' }, { filters: [{ key: 'k', operator: '=', value: '$one' }] })));
  const sent = fetches[0].data?.queries[0];
  expect(sent?.expr).toBe(String.raw`rate(a{s=~"(a\\.b|c\"d)", t="x"}[$__rate_interval:$__interval])`);
  expect(sent?.filters).toEqual([{ key: 'k', operator: '=', value: 'x' }]);
});

test('groupings of the dashboard reach the backend', async () => {
  await firstValueFrom(ds.query(request({ queryType: 'metrics', expr: 'sum(a)' }, { groupByKeys: ['k'] })));
  expect(fetches[0].data?.queries[0].groupBy).toEqual(['k']);
});

test('a transform that throws is an error of the query, not a spinner', async () => {
  answer = () => {
    throw new Error('broken');
  };
  const response = await lastValueFrom(ds.query(request({ queryType: 'metrics', expr: 'a' })));
  expect(response.state === LoadingState.Error || response.errors?.length).toBeTruthy();
});

test('volume beside lines, sample beside numbers, neither beside metrics', () => {
  const volume = ds.getSupplementaryRequest(SupplementaryQueryType.LogsVolume, request({ queryType: 'logs', expr: '{a="b"}', filters: [{ key: 'k', operator: '=', value: 'v' }] }));
  expect(volume?.targets).toEqual([expect.objectContaining({ refId: 'log-volume-A', purpose: 'volume', expr: '{a="b"}', filters: [{ key: 'k', operator: '=', value: 'v' }] })]);
  expect(volume?.hideFromInspector).toBe(true);
  const numbers = request({ queryType: 'logs', expr: 'sum(rate({a="b"}[1m]))' });
  expect(ds.getSupplementaryRequest(SupplementaryQueryType.LogsVolume, numbers)).toBeUndefined();
  expect(ds.getSupplementaryRequest(SupplementaryQueryType.LogsSample, numbers)?.targets[0].refId).toBe('log-sample-A');
  expect(ds.getSupplementaryRequest(SupplementaryQueryType.LogsVolume, request({ queryType: 'metrics', expr: 'up' }))).toBeUndefined();
});

test('live tail asks for a stream with the query and keeps going when it fails', async () => {
  const asked: Array<{ addr: { path: string; stream?: string; namespace: string; data: BelfryQuery } }> = [];
  setGrafanaLiveSrv({ getDataStream: (o: (typeof asked)[number]) => (asked.push(o), of({ data: [], state: LoadingState.Streaming })) } as never);
  const response = await firstValueFrom(ds.query(request({ queryType: 'logs', expr: '{a="$one"}' }, { liveStreaming: true })));
  expect(response.state).toBe(LoadingState.Streaming);
  expect(asked[0].addr).toMatchObject({ scope: 'ds', namespace: 'u1', stream: 'u1', data: { expr: '{a="x"}' } });
  expect(fetches).toHaveLength(0);
  setGrafanaLiveSrv({ getDataStream: () => throwError(() => new Error('gone')) } as never);
  const failed = await firstValueFrom(ds.query(request({ queryType: 'logs', expr: '{}' }, { liveStreaming: true })));
  expect(failed.errors?.[0].message).toBe('gone');
});

const frame = toDataFrame({
  fields: [
    { name: 'timestamp', type: FieldType.time, values: [5000] },
    { name: 'body', type: FieldType.string, values: ['x'] },
    { name: 'id', type: FieldType.string, values: ['5000000001_ab'] },
    { name: 'labels', type: FieldType.other, values: [{ service_name: 'cart', pod: 'p', user: 'u' }] },
    { name: 'labelTypes', type: FieldType.other, values: [{ service_name: 'I', pod: 'I', user: 'S' }] },
  ],
});
const row = { dataFrame: frame, rowIndex: 0, uid: 'r1', timeEpochMs: 5000, timeEpochNs: '5000000001', labels: {} } as unknown as LogRowModel;

test('the context of a line is asked for by its stream, nanosecond and ID', async () => {
  await ds.getLogRowContext(row, { direction: LogRowContextQueryDirection.Forward, limit: 20, timeWindowMs: 10_000 });
  const body = fetches[0].data as unknown as { queries: BelfryQuery[]; from: string; to: string };
  expect(body.queries[0]).toMatchObject({
    expr: '{service_name="cart", pod="p"}', purpose: 'context', direction: 'forward', maxLines: 20, anchor: { nanos: '5000000001', id: '5000000001_ab' },
  });
  expect([body.from, body.to]).toEqual(['0', '10000']);
  expect(await ds.getLogRowContextQuery(row)).toMatchObject({ queryType: 'logs', expr: '{service_name="cart", pod="p"}' });
  expect(ds.getLabelDisplayTypeFromFrame('user', frame, 0)).toBe('Fields');
  expect(ds.getLabelDisplayTypeFromFrame('pod', frame, 0)).toBe('Stream labels');
});

test('a context that fails says so', async () => {
  answer = () => ({ data: { results: { 'context-A-before': { error: 'no', status: 500 } } } });
  await expect(ds.getLogRowContext(row)).rejects.toThrow('no');
});

test('values of a filter are narrowed by the other filters, not by itself', async () => {
  answer = () => ({ data: { items: [{ text: 'v' }] } });
  const filters = [{ key: 'a', operator: '=', value: '1' }, { key: 'b', operator: '=', value: '2' }];
  expect(await ds.getTagValues({ key: 'a', filters, queries: [{ refId: 'A', queryType: 'logs' }] })).toEqual([{ text: 'v' }]);
  expect(fetches[0].params).toMatchObject({ signal: 'logs', name: 'a', filters: '[{"key":"b","operator":"=","value":"2"}]', limit: 1000 });
});

test('a variable asks for values with other variables filled in', async () => {
  answer = () => ({ data: { items: [{ text: 'v' }] } });
  expect(await ds.metricFindQuery('label_values(up{job="$one"}, instance)')).toEqual([{ text: 'v' }]);
  expect(fetches[0].params).toMatchObject({ signal: 'metrics', name: 'instance', match: 'up{job="x"}' });
});
