// A page that stands in for Grafana: it provides the modules that Grafana shares
// with plugins, loads module.js by SystemJS as Grafana does, and shows the
// plugin's editors with what their queries answer.
import * as data from '@grafana/data';
import * as runtime from '@grafana/runtime';
import * as ui from '@grafana/ui';
import React, { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import * as rxjs from 'rxjs';

declare const System: {
  import(url: string): Promise<{ plugin?: data.DataSourcePlugin<never> } & { default?: { plugin: data.DataSourcePlugin<never> } }>;
  set(id: string, module: object): void;
  addImportMap(map: { imports: Record<string, string> }): void;
};

const shared: Record<string, object> = { react: React, '@grafana/data': data, '@grafana/runtime': runtime, '@grafana/ui': ui, rxjs };
const imports: Record<string, string> = {};
for (const [name, module] of Object.entries(shared)) {
  imports[name] = `package:${name}`;
  System.set(`package:${name}`, { ...module, default: module, __useDefault: true });
}
System.addImportMap({ imports });

const theme = data.createTheme({ colors: { mode: new URLSearchParams(location.search).get('theme') === 'light' ? 'light' : 'dark' } });
const settings = {
  id: 1, uid: 'belfry', type: 'belfry-belfry-datasource', name: 'Belfry', url: '/', access: 'proxy', readOnly: false, jsonData: {}, secureJsonFields: {}, secureJsonData: {}, withCredentials: false, basicAuth: false,
} as never as data.DataSourceInstanceSettings;

const requests: string[] = [];
Object.assign(window, { requests });

runtime.setBackendSrv({
  fetch: (o: { url: string; method?: string; data?: object; params?: Record<string, string> }) =>
    rxjs.from(
      (async () => {
        const query = o.params ? `?${new URLSearchParams(o.params)}` : '';
        requests.push(o.url + query);
        const response = await fetch(`/${o.url.replace(/^\//, '')}${query}`, { method: o.method ?? 'GET', body: o.data && JSON.stringify(o.data), headers: { 'Content-Type': 'application/json' } });
        const body = await response.json();
        if (!response.ok) {
          throw { status: response.status, data: body };
        }
        return { data: body, status: response.status, ok: true };
      })()
    ),
} as never);
runtime.setTemplateSrv({ replace: (s: string) => s, getVariables: () => [], containsTemplate: () => false, updateTimeRange() {} } as never);
runtime.setDataSourceSrv({ getInstanceSettings: () => settings, getList: () => [settings], get: async () => undefined } as never);
runtime.setGrafanaLiveSrv({
  getDataStream: ({ addr }: { addr: { path: string; data: object } }) =>
    new rxjs.Observable((out) => {
      const source = new EventSource(`/live?path=${encodeURIComponent(addr.path)}&data=${encodeURIComponent(JSON.stringify(addr.data))}`);
      let frame: data.StreamingDataFrame | undefined;
      source.onmessage = (e) => {
        const json = JSON.parse(e.data);
        frame ? frame.push(json) : (frame = data.StreamingDataFrame.fromDataFrameJSON(json, { maxLength: 1000 }));
        out.next({ data: [frame], state: data.LoadingState.Streaming });
      };
      return () => source.close();
    }),
} as never);

type DS = data.DataSourceApi & { query(r: data.DataQueryRequest): rxjs.Observable<data.DataQueryResponse> };

function range(): data.TimeRange {
  const to = data.dateTime();
  const from = data.dateTime(to.valueOf() - 15 * 60 * 1000);
  return { from, to, raw: { from: 'now-15m', to: 'now' } };
}

function Result({ response }: { response?: data.DataQueryResponse }) {
  if (!response) {
    return null;
  }
  const error = response.errors?.[0] ?? response.error;
  return (
    <div data-testid="result" data-state={response.state ?? 'Done'}>
      {error && <ui.Alert title={error.message ?? error.data?.message ?? 'error'} />}
      {response.data.slice(0, 6).map((frame: data.DataFrame, i: number) => (
        <div key={i} data-testid="frame" style={{ margin: '8px 0', font: '12px monospace' }}>
          <b>
            {frame.name || frame.meta?.type || 'frame'}: {frame.length} rows, shown as {frame.meta?.preferredVisualisationType ?? '-'}
          </b>
          <table style={{ borderSpacing: '12px 1px' }}>
            <tbody>
              <tr>{frame.fields.slice(0, 8).map((f) => <th key={f.name} style={{ textAlign: 'left' }}>{f.name}</th>)}</tr>
              {[...Array(Math.min(5, frame.length)).keys()].map((row) => (
                <tr key={row}>
                  {frame.fields.slice(0, 8).map((f) => {
                    const v = f.values[row];
                    return <td key={f.name}>{(f.type === data.FieldType.time ? new Date(v).toISOString() : typeof v === 'object' ? JSON.stringify(v) : String(v)).slice(0, 60)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ))}
    </div>
  );
}

function Query({ plugin, ds, app, first }: { plugin: data.DataSourcePlugin<never>; ds: DS; app: data.CoreApp; first: object }) {
  const Editor = plugin.components.QueryEditor as React.ComponentType<object>;
  const [query, setQuery] = useState<data.DataQuery>({ refId: 'A', ...(ds.getDefaultQuery?.(app) ?? {}), ...first });
  const [response, setResponse] = useState<data.DataQueryResponse>();
  const [live, setLive] = useState(false);
  const [runs, setRuns] = useState(0);
  const latest = React.useRef(query);
  latest.current = query;
  useEffect(() => {
    if (!runs) {
      return;
    }
    const sub = ds
      .query({
        requestId: 'q', app, interval: '15s', intervalMs: 15000, maxDataPoints: 500, range: range(), scopedVars: {}, targets: [latest.current], timezone: 'utc', startTime: Date.now(), liveStreaming: live,
      } as data.DataQueryRequest)
      .subscribe(setResponse);
    return () => sub.unsubscribe();
  }, [runs, live]);
  return (
    <>
      <Editor
        datasource={ds} query={query} app={app} range={range()}
        onChange={(q: data.DataQuery) => { latest.current = q; setQuery(q); }}
        onRunQuery={() => setRuns((n) => n + 1)}
      />
      <ui.Button size="sm" data-testid="live" variant={live ? 'primary' : 'secondary'} onClick={() => { setLive(!live); setRuns((n) => n + 1); }}>Live</ui.Button>
      <pre data-testid="query">{JSON.stringify(query)}</pre>
      <Result response={response} />
    </>
  );
}

function Config({ plugin }: { plugin: data.DataSourcePlugin<never> }) {
  const Editor = plugin.components.ConfigEditor as React.ComponentType<object>;
  const [options, setOptions] = useState<object>({ ...settings, url: 'http://127.0.0.1:4321', typeLogoUrl: '', secureJsonFields: {} });
  return (
    <>
      <Editor options={options} onOptionsChange={setOptions} />
      <pre data-testid="options">{JSON.stringify(options)}</pre>
    </>
  );
}

function Variable({ ds }: { ds: DS }) {
  const Editor = (ds.variables as data.CustomVariableSupport<never>).editor as React.ComponentType<object>;
  const [query, setQuery] = useState<object>({ refId: 'A', kind: 'values', signal: 'logs' });
  return (
    <>
      <Editor datasource={ds} query={query} range={range()} onChange={setQuery} />
      <pre data-testid="query">{JSON.stringify(query)}</pre>
    </>
  );
}

async function main() {
  const loaded = await System.import(new URL('/public/plugins/belfry-belfry-datasource/module.js', location.href).href);
  const plugin = (loaded.plugin ?? loaded.default?.plugin) as data.DataSourcePlugin<never>;
  const ds = new (plugin.DataSourceClass as never as new (s: object) => DS)(settings);
  Object.assign(window, { ds, plugin, React });
  const params = new URLSearchParams(location.search);
  const app = (params.get('app') ?? data.CoreApp.Explore) as data.CoreApp;
  const Help = plugin.components.QueryEditorHelp as React.ComponentType<object>;
  const views: Record<string, React.ReactNode> = {
    query: <Query plugin={plugin} ds={ds} app={app} first={JSON.parse(params.get('query') ?? '{}')} />,
    config: <Config plugin={plugin} />,
    variable: <Variable ds={ds} />,
    help: <Help onClickExample={() => undefined} />,
  };
  document.body.style.cssText = `margin:0;padding:16px;background:${theme.colors.background.primary};color:${theme.colors.text.primary};font-family:Inter,Helvetica,Arial,sans-serif;font-size:14px`;
  createRoot(document.getElementById('root')!).render(
    <data.ThemeContext.Provider value={theme}>
      <ui.GlobalStyles />
      <ui.PortalContainer />
      {views[params.get('view') ?? 'query']}
    </data.ThemeContext.Provider>
  );
}

main().catch((e) => {
  document.body.textContent = `FAILED ${e?.stack ?? e}`;
});
