import type { DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { Button, DataSourceHttpSettings, IconButton, InlineField, InlineFieldRow, InlineSwitch } from '@grafana/ui';
import { config } from '@grafana/runtime';
import React from 'react';

import { defaults, withDefaults } from '../settings';
import type { BelfryOptions, DerivedField, Signal, Target } from '../types';
import { Pick } from './Pick';
import { Text } from './OwnQuery';

type Props = DataSourcePluginOptionsEditorProps<BelfryOptions>;

interface PartProps {
  options: BelfryOptions;
  set(change: Partial<BelfryOptions>): void;
}

function Queries({ options, set }: PartProps) {
  const filled = withDefaults(options);
  const number = (v: string) => (Number(v) > 0 ? Number(v) : undefined);
  return (
    <>
      <h3>Queries</h3>
      <InlineFieldRow>
        <Text label="Tenant" value={options.tenant} placeholder="default" tooltip="Sent as X-Scope-OrgID" onChange={(tenant) => set({ tenant })} />
        <Text label="Scrape interval" value={options.scrapeInterval} placeholder={defaults.scrapeInterval} tooltip="The least distance of samples: decides $__rate_interval" onChange={(scrapeInterval) => set({ scrapeInterval })} />
      </InlineFieldRow>
      <InlineFieldRow>
        <Text label="Line limit" value={options.maxLines?.toString()} placeholder={String(defaults.maxLines)} onChange={(v) => set({ maxLines: number(v) })} />
        <Text label="Trace limit" value={options.traceLimit?.toString()} placeholder={String(defaults.traceLimit)} onChange={(v) => set({ traceLimit: number(v) })} />
      </InlineFieldRow>
      <InlineFieldRow>
        <InlineField label="Exemplars" labelWidth={14}>
          <InlineSwitch aria-label="Exemplars" value={filled.exemplars} onChange={(e) => set({ exemplars: e.currentTarget.checked })} />
        </InlineField>
        <InlineField label="Node graph" labelWidth={14}>
          <InlineSwitch aria-label="Node graph" value={filled.nodeGraph} onChange={(e) => set({ nodeGraph: e.currentTarget.checked })} />
        </InlineField>
      </InlineFieldRow>
    </>
  );
}

const signals: Signal[] = ['metrics', 'logs', 'traces'];

function Links({ options, set }: PartProps) {
  const setTarget = (signal: Signal, change: Target) => set({ targets: { ...options.targets, [signal]: { ...options.targets?.[signal], ...change } } });
  return (
    <>
      <h3>Links</h3>
      <p>Lines, traces, series and incidents are linked with each other through this data source. Name others here only if you keep those signals elsewhere as well.</p>
      <InlineFieldRow>
        <Text label="Web address" width={40} value={options.externalUrl} placeholder="as people reach it in a browser" tooltip="For links to incidents" onChange={(externalUrl) => set({ externalUrl })} />
        <Text label="Time around" value={options.timeShift} placeholder={defaults.timeShift} tooltip="How much links from a span look before and after its trace" onChange={(timeShift) => set({ timeShift })} />
      </InlineFieldRow>
      {signals.map((signal) => (
        <InlineFieldRow key={signal}>
          <Text label={`${signal}: UID`} value={options.targets?.[signal]?.uid} placeholder="this data source" onChange={(uid) => setTarget(signal, { uid })} />
          <Text label="Type" value={options.targets?.[signal]?.type} placeholder={{ metrics: 'prometheus', logs: 'loki', traces: 'tempo' }[signal]} onChange={(type) => setTarget(signal, { type })} />
        </InlineFieldRow>
      ))}
    </>
  );
}

function DerivedFields({ options, set }: PartProps) {
  const list = options.derivedFields ?? [];
  const change = (i: number, part: Partial<DerivedField>) => set({ derivedFields: list.map((d, j) => (i === j ? { ...d, ...part } : d)) });
  return (
    <>
      <h3>Derived fields</h3>
      <p>Fields that lines get beside their own, with a link. Traces need none: they are linked by the trace that a line names.</p>
      {list.map((d, i) => (
        <InlineFieldRow key={i}>
          <Text label="Name" value={d.name} width={16} onChange={(name) => change(i, { name })} />
          <InlineField label="From">
            <Pick
              label="From"
              width={14}
              value={d.matcherType ?? 'regex'}
              options={[{ value: 'label', label: 'Label' }, { value: 'regex', label: 'Line' }]}
              onChange={(value) => change(i, { matcherType: value as DerivedField['matcherType'] })}
            />
          </InlineField>
          <Text label="Matcher" value={d.matcher} placeholder="order=(\w+)" onChange={(matcher) => change(i, { matcher })} />
          <Text label="Title" value={d.title} width={16} onChange={(title) => change(i, { title })} />
          <Text label="URL" value={d.url} placeholder="https://example.com/${__value.raw}" onChange={(url) => change(i, { url })} />
          <Text label="or data source" value={d.datasourceUid} placeholder="UID" width={16} onChange={(datasourceUid) => change(i, { datasourceUid })} />
          <Text label="Type" value={d.datasourceType} placeholder="tempo" width={12} onChange={(datasourceType) => change(i, { datasourceType })} />
          <IconButton name="trash-alt" aria-label="remove" tooltip="Remove" onClick={() => set({ derivedFields: list.filter((_, j) => i !== j) })} />
        </InlineFieldRow>
      ))}
      <Button size="sm" variant="secondary" icon="plus" onClick={() => set({ derivedFields: [...list, { name: '', matcherType: 'regex', matcher: '' }] })}>
        Add a field
      </Button>
    </>
  );
}

/** The settings of a data source; every one of them can be provisioned as well. */
export function ConfigEditor({ options, onOptionsChange }: Props) {
  const part: PartProps = {
    options: options.jsonData,
    set: (change) => onOptionsChange({ ...options, jsonData: { ...options.jsonData, ...change } }),
  };
  return (
    <div data-testid="belfry-config-editor">
      <DataSourceHttpSettings defaultUrl="http://127.0.0.1:4321" dataSourceConfig={options} onChange={onOptionsChange} showAccessOptions={false} secureSocksDSProxyEnabled={config.secureSocksDSProxyEnabled} />
      <Queries {...part} />
      <Links {...part} />
      <DerivedFields {...part} />
    </div>
  );
}
