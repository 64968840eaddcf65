import type { QueryEditorProps } from '@grafana/data';
import { InlineField, InlineFieldRow } from '@grafana/ui';
import React from 'react';

import type { BelfryDatasource } from '../datasource';
import type { BelfryOptions, BelfryQuery, Signal, VariableQuery } from '../types';
import { Pick } from './Pick';
import { Text } from './OwnQuery';

type Props = QueryEditorProps<BelfryDatasource, BelfryQuery, BelfryOptions, VariableQuery>;

const option = <T extends string>(value: T, label: string) => ({ value, label });

/** What a variable lists. */
export function VariableEditor({ query: given, datasource, range, onChange }: Props) {
  const query: VariableQuery = typeof given === 'string' ? { refId: 'A', kind: 'values', name: given } : { ...given, refId: given?.refId ?? 'A' };
  const kind = query.kind ?? 'values';
  const signal = query.signal ?? 'metrics';
  const set = (change: Partial<VariableQuery>) => onChange({ ...query, ...change });
  const labelled = kind === 'names' || kind === 'values';
  return (
    <InlineFieldRow data-testid="belfry-variable-editor">
      <InlineField label="List" labelWidth={14}>
        <Pick
          label="List"
          width={20}
          value={kind}
          options={[option('values', 'Values'), option('names', 'Names'), option('metrics', 'Metrics'), option('schedules', 'Schedules')]}
          onChange={(value) => set({ kind: value })}
        />
      </InlineField>
      {labelled && (
        <InlineField label="Signal" labelWidth={14}>
          <Pick<Signal>
            label="Signal"
            width={16}
            value={signal}
            options={[option('metrics', 'Metrics'), option('logs', 'Logs'), option('traces', 'Traces')]}
            onChange={(value) => set({ signal: value })}
          />
        </InlineField>
      )}
      {kind === 'values' && (
        <InlineField label="Name" labelWidth={14} tooltip="Of the label, field or attribute">
          <Pick
            label="Name"
            width={30}
            custom
            value={query.name ?? null}
            options={async (search) => (await datasource.listNames({ signal, search, range, limit: 500 }).catch(() => [])).map(({ text, kind }) => ({ value: text, label: text, description: kind }))}
            onChange={(value) => set({ name: value })}
          />
        </InlineField>
      )}
      {labelled && (
        <Text label="Where" width={50} value={query.match} placeholder={{ metrics: 'up{job="$job"}', logs: '{service_name="$service"}', traces: '{ resource.service.name = "$service" }' }[signal]} tooltip="A selector that narrows the list; it may contain other variables" onChange={(match) => set({ match })} />
      )}
    </InlineFieldRow>
  );
}
