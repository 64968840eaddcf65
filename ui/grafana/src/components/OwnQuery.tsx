import { type ComboboxOption, InlineField, InlineFieldRow, Input } from '@grafana/ui';
import React from 'react';

import type { BelfryDatasource } from '../datasource';
import type { BelfryQuery, Objective, QueryType } from '../types';
import { Pick } from './Pick';

interface Props {
  datasource: BelfryDatasource;
  type: QueryType;
  query: BelfryQuery;
  onChange(query: BelfryQuery): void;
}

const choices = (...values: string[]): Array<ComboboxOption<string>> => values.map((value) => ({ value, label: value || 'all' }));

function Choice({ label, value, options, onChange }: { label: string; value: string; options: Array<ComboboxOption<string>>; onChange(value: string): void }) {
  return (
    <InlineField label={label} labelWidth={14}>
      <Pick label={label} width={20} value={value} options={options} onChange={onChange} />
    </InlineField>
  );
}

/** Text that is taken over when it is finished, not on each key. */
export function Text({ label, value, placeholder, tooltip, width = 24, onChange }: { label: string; value?: string; placeholder?: string; tooltip?: string; width?: number; onChange(value: string): void }) {
  return (
    <InlineField label={label} labelWidth={14} tooltip={tooltip}>
      <Input
        aria-label={label}
        width={width}
        key={value}
        defaultValue={value}
        placeholder={placeholder}
        onBlur={(e) => e.currentTarget.value !== (value ?? '') && onChange(e.currentTarget.value)}
        onKeyDown={(e) => e.key === 'Enter' && onChange(e.currentTarget.value)}
      />
    </InlineField>
  );
}

function Slo({ query, onChange }: Props) {
  const slo: Objective = query.slo ?? {};
  const set = (change: Partial<Objective>) => onChange({ ...query, slo: { ...slo, ...change } });
  return (
    <>
      <p style={{ maxWidth: 760 }}>
        Belfry keeps no objectives of its own: this query states one. Its rates contain $__window where the range goes; a recording rule may be named the same way,
        as in job:errors:ratio_rate$__window. Left empty, they are the requests that services answered.
      </p>
      <InlineFieldRow>
        <Text label="Name" value={slo.name} onChange={(name) => set({ name })} />
        <Text label="Objective, %" value={slo.objective?.toString()} placeholder="99.9" onChange={(v) => set({ objective: Number(v) || undefined })} />
        <Text label="Window" value={slo.window} placeholder="30d" onChange={(window) => set({ window })} />
      </InlineFieldRow>
      <InlineFieldRow>
        <Text label="Failed" width={90} value={slo.bad} placeholder="sum by (service) (rate(requests_failed_total[$__window]))" onChange={(bad) => set({ bad })} />
      </InlineFieldRow>
      <InlineFieldRow>
        <Text label="Total" width={90} value={slo.total} placeholder="sum by (service) (rate(requests_total[$__window]))" onChange={(total) => set({ total })} />
      </InlineFieldRow>
      <InlineFieldRow>
        <Text label="or share" width={90} value={slo.ratio} placeholder="job:errors:ratio_rate$__window" tooltip="The share that failed, instead of both rates" onChange={(ratio) => set({ ratio })} />
      </InlineFieldRow>
    </>
  );
}

/** The options of the types of queries that are not written in a language. */
export function OwnQuery(props: Props) {
  const { type, query, onChange } = props;
  const set = (change: Partial<BelfryQuery>) => onChange({ ...query, ...change });
  switch (type) {
    case 'incidents':
      return (
        <InlineFieldRow>
          <Choice label="Status" value={query.status ?? ''} options={choices('', 'triggered', 'acknowledged', 'resolved')} onChange={(status) => set({ status })} />
          <Choice label="Severity" value={query.severity ?? ''} options={choices('', 'critical', 'error', 'warning', 'info')} onChange={(severity) => set({ severity })} />
          <Text label="Service" value={query.service} onChange={(service) => set({ service })} />
          <Text label="Search" value={query.search} onChange={(search) => set({ search })} />
          <Text label="Incident" value={query.incident} tooltip="The ID of one: all about it" onChange={(incident) => set({ incident })} />
        </InlineFieldRow>
      );
    case 'oncall':
      return (
        <InlineFieldRow>
          <Choice label="View" value={query.view || 'now'} options={choices('now', 'shifts')} onChange={(view) => set({ view })} />
          <Text label="Schedule" value={query.schedule} placeholder="all" onChange={(schedule) => set({ schedule })} />
        </InlineFieldRow>
      );
    case 'slo':
      return <Slo {...props} />;
    case 'cardinality':
      return (
        <InlineFieldRow>
          <Choice label="View" value={query.view ?? ''} options={choices('', 'metrics', 'labels', 'pairs', 'churn', 'unused')} onChange={(view) => set({ view })} />
        </InlineFieldRow>
      );
    case 'serviceMap':
      return (
        <InlineFieldRow>
          <Text label="Around" value={query.service} placeholder="all services" onChange={(service) => set({ service })} />
        </InlineFieldRow>
      );
    case 'annotations':
      return (
        <InlineFieldRow>
          <Choice
            label="Source"
            value={query.source ?? 'deploys'}
            options={choices('deploys', 'incidents', 'silences', 'alerts', 'metrics', 'logs')}
            onChange={(source) => set({ source: source as BelfryQuery['source'], expr: '' })}
          />
          {query.source === 'incidents' && <Text label="Service" value={query.service} onChange={(service) => set({ service })} />}
          {['metrics', 'logs', 'alerts'].includes(query.source ?? '') && <Text label="Title" value={query.title} placeholder="{{service_name}}" onChange={(title) => set({ title })} />}
        </InlineFieldRow>
      );
    default:
      return null;
  }
}
