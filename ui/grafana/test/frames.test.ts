import { arrayToDataFrame, type DataFrame, DataFrameType, FieldCache, FieldType, getFieldDisplayName, getTimeField, isTimeSeriesFrame, LogLevel } from '@grafana/data';

import { finish, labelKind } from '../src/frames';
import { golden, goldenNames } from './golden';

const field = (frame: DataFrame, name: string) => frame.fields.find((f) => f.name === name)!;

test('every frame that the backend makes can be read, and its fields are of one length', () => {
  expect(goldenNames().length).toBeGreaterThan(20);
  for (const name of goldenNames()) {
    for (const frame of golden(name)) {
      expect(frame.refId).toBe('A');
      for (const f of frame.fields) {
        expect(f.values.length).toBe(frame.length);
      }
    }
  }
});

test('every internal link names its data source and a query of this plugin', () => {
  let links = 0;
  for (const name of goldenNames()) {
    for (const f of golden(name).flatMap((frame) => frame.fields)) {
      for (const link of f.config.links ?? []) {
        expect(link.title).toBeTruthy();
        if (link.internal) {
          links++;
          expect(link.internal.datasourceUid).toBe('belfry-uid');
          expect(link.internal.query).toMatchObject({ refId: 'A', datasource: { uid: 'belfry-uid' }, queryType: expect.any(String) });
        }
      }
    }
  }
  expect(links).toBeGreaterThan(20);
});

describe('lines', () => {
  const [frame] = golden('logs');

  test('have the fields of the contract of log lines, in its types', () => {
    expect(frame.meta?.type).toBe(DataFrameType.LogLines);
    expect(frame.meta?.preferredVisualisationType).toBe('logs');
    const cache = new FieldCache(frame);
    expect(cache.getFieldByName('timestamp')?.type).toBe(FieldType.time);
    expect(cache.getFieldByName('body')?.type).toBe(FieldType.string);
    expect(cache.getFieldByName('severity')?.type).toBe(FieldType.string);
    expect(cache.getFieldByName('id')?.type).toBe(FieldType.string);
    expect(cache.getFieldByName('labels')?.type).toBe(FieldType.other);
  });

  test('have IDs that are unique, also where two lines agree in everything', () => {
    const ids = field(frame, 'id').values;
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id: string) => id.endsWith('_1'))).toHaveLength(2);
  });

  test('come with levels that Grafana colours and words that it highlights', () => {
    for (const level of field(frame, 'severity').values) {
      expect(LogLevel[level as keyof typeof LogLevel]).toBeDefined();
    }
    expect(frame.meta?.custom?.searchWords).toEqual(['refused', 'twice']);
    expect(frame.meta?.custom?.limit).toBe(100);
  });

  test('have labels grouped by where they come from', () => {
    expect(field(frame, 'labels').values[0]).toMatchObject({ service_name: expect.any(String) });
    expect(labelKind('service_name', frame, 0)).toBe('Stream labels');
    const withUser = golden('logs-filtered')[0];
    expect(labelKind('user_id', withUser, 0)).toBe('Fields');
    expect(labelKind('nothing', frame, 0)).toBeNull();
  });

  test('lead to their traces', () => {
    const trace = field(frame, 'trace_id');
    const at = trace.values.findIndex(Boolean);
    expect(trace.values[at]).toMatch(/^[0-9a-f]{32}$/);
    expect(trace.config.links?.[0].internal?.query).toMatchObject({ queryType: 'traces', expr: '${__value.raw}' });
  });

  test('have a volume of one series a level', () => {
    const volume = golden('logs-volume');
    expect(volume.map((f) => f.fields[1].labels?.level)).toEqual(['error', 'info', 'warn']);
    for (const f of volume) {
      expect(f.fields).toHaveLength(2);
      expect(isTimeSeriesFrame(f)).toBe(true);
    }
  });
});

describe('series', () => {
  test('are named by their legend and have the distance of their points', () => {
    const frames = golden('metrics-range');
    expect(frames.map((f) => getFieldDisplayName(f.fields[1], f, frames))).toEqual(['cart', 'checkout']);
    for (const f of frames) {
      expect(f.meta?.type).toBe(DataFrameType.TimeSeriesMulti);
      expect(isTimeSeriesFrame(f)).toBe(true);
      expect(getTimeField(f).timeField?.config.interval).toBe(300_000);
    }
  });

  test('have exemplars that are drawn over them and lead to traces', () => {
    const exemplars = golden('metrics-exemplars').find((f) => f.name === 'exemplar')!;
    expect(exemplars.meta?.dataTopic).toBe('annotations');
    expect(exemplars.meta?.custom?.resultType).toBe('exemplar');
    expect(exemplars.fields.slice(0, 2).map((f) => [f.name, f.type])).toEqual([['Time', 'time'], ['Value', 'number']]);
    expect(field(exemplars, 'traceID').config.links?.[0].internal).toBeDefined();
  });

  test('are numbers of one time, a table or a heatmap if that is asked for', () => {
    expect(golden('metrics-instant')[0].meta?.type).toBe(DataFrameType.NumericMulti);
    expect(golden('metrics-table')[0].fields.map((f) => f.name)).toContain('http_response_status_code');
    const [heatmap] = golden('metrics-heatmap');
    expect(heatmap.meta?.type).toBe(DataFrameType.HeatmapRows);
    expect(heatmap.fields.slice(1).map((f) => f.name)).toEqual(['0.1', '0.5', '+Inf']);
    expect(golden('metrics-empty')[0].length).toBe(0);
  });
});

describe('a trace', () => {
  const [trace, nodes, edges] = golden('trace');

  test('has a row a span in the fields that the waterfall reads', () => {
    expect(trace.meta?.preferredVisualisationType).toBe('trace');
    for (const name of ['traceID', 'spanID', 'parentSpanID', 'operationName', 'serviceName', 'serviceTags', 'startTime', 'duration', 'tags', 'logs', 'references', 'kind', 'statusCode', 'statusMessage']) {
      expect(field(trace, name)).toBeDefined();
    }
    const root = field(trace, 'parentSpanID').values.indexOf(null);
    expect(root).toBe(0);
    expect(field(trace, 'duration').values[0]).toBe(250);
    expect(field(trace, 'statusCode').values[0]).toBe(2);
    expect(field(trace, 'tags').values[0]).toEqual(expect.arrayContaining([{ key: 'error', value: true, type: 'bool' }]));
    expect(field(trace, 'serviceTags').values[0]).toEqual(expect.arrayContaining([{ key: 'service.name', value: 'checkout', type: 'string' }]));
    expect(field(trace, 'logs').values[0][0]).toMatchObject({ name: 'exception', timestamp: expect.any(Number) });
    expect(field(trace, 'references').values[0][0]).toMatchObject({ spanID: '2122232425262728' });
    expect(field(trace, 'stackTraces').values[0][0]).toContain('pay.go');
  });

  test('has links from its spans to logs and series, over its own time', () => {
    const [ranged] = finish({ data: [trace] }, '5m').data as DataFrame[];
    const links = field(ranged, 'spanID').config.links!;
    expect(links.map((l) => (l.internal?.query as { queryType: string }).queryType)).toEqual(['logs', 'logs', 'metrics', 'metrics']);
    const start = field(trace, 'startTime').values[0] as number;
    const range = links[0].internal?.range!;
    expect(range.from.valueOf()).toBe(start - 300_000);
    expect(range.to.valueOf()).toBe(start + 250 + 300_000);
  });

  test('has a graph of services', () => {
    for (const f of [nodes, edges]) {
      expect(f.meta?.preferredVisualisationType).toBe('nodeGraph');
    }
    for (const name of ['id', 'title', 'mainstat', 'secondarystat', 'arc__success', 'arc__failed']) {
      expect(field(nodes, name)).toBeDefined();
    }
    const ids = field(nodes, 'id').values;
    expect(ids).toContain(field(edges, 'source').values[0]);
    expect(ids).toContain(field(edges, 'target').values[0]);
    nodes.fields.filter((f) => f.name.startsWith('arc__')).forEach((f) => expect(f.config.color?.fixedColor).toBeTruthy());
    const arcs = nodes.fields.filter((f) => f.name.startsWith('arc__'));
    ids.forEach((_: string, i: number) => expect(arcs.reduce((sum, f) => sum + f.values[i], 0)).toBeCloseTo(1));
  });

  test('that does not exist is said, not an error', () => {
    expect(golden('trace-missing')[0].meta?.notices?.[0].text).toContain('There is no trace');
  });
});

test('a search leads from each trace to it', () => {
  const [traces] = golden('traces-search');
  expect(field(traces, 'traceID').config.links?.[0].internal?.query).toMatchObject({ queryType: 'traces' });
  expect(field(traces, 'traceDuration').config.unit).toBe('ms');
});

test('annotations have the fields that Grafana picks by itself', () => {
  for (const name of ['annotations-deploy', 'annotations-metric', 'annotations-logs']) {
    const [frame] = golden(name);
    for (const wanted of ['time', 'timeEnd', 'title', 'text', 'tags']) {
      expect(field(frame, wanted)).toBeDefined();
    }
    expect(field(frame, 'time').type).toBe(FieldType.time);
    expect(frame.length).toBeGreaterThan(0);
  }
});

test('a data frame of another library is left alone', () => {
  const frame = arrayToDataFrame([{ a: 1 }]);
  expect(finish({ data: [frame] }, '5m').data[0]).toBe(frame);
});
