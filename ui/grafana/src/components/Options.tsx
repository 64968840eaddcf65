import { CoreApp } from '@grafana/data';
import { InlineField, InlineFieldRow, InlineSwitch } from '@grafana/ui';
import React from 'react';

import { asksForLines, asksForNumbers, typeOf } from '../query';
import type { FilledOptions } from '../settings';
import type { BelfryQuery } from '../types';
import { Pick } from './Pick';
import { Text } from './OwnQuery';

interface Props {
  query: BelfryQuery;
  app?: CoreApp | string;
  options: FilledOptions;
  onChange(query: BelfryQuery): void;
}

const option = <T extends string>(value: T, label: string) => ({ value, label });

const formats = [option('time_series', 'Time series'), option('table', 'Table'), option('heatmap', 'Heatmap')];
const modes = [option('range', 'Range'), option('instant', 'Instant'), option('both', 'Both')];
const legends = (legend: string | undefined) => (legend === '__auto' ? 'auto' : legend);

/** What of a query is not its expression. */
export function Options({ query, app, options, onChange }: Props) {
  const set = (change: Partial<BelfryQuery>) => onChange({ ...query, ...change });
  const type = typeOf(query);
  const alerting = app === CoreApp.UnifiedAlerting;
  const number = (value: string) => (Number(value) > 0 ? Math.round(Number(value)) : undefined);
  if (asksForNumbers(query)) {
    return (
      <InlineFieldRow>
        <InlineField label="Type">
          <Pick label="Type" width={14} value={query.mode ?? 'range'} options={modes} onChange={(value) => set({ mode: value })} />
        </InlineField>
        {!alerting && (
          <>
            <InlineField label="Format">
              <Pick label="Format" width={16} value={query.format ?? 'time_series'} options={formats} onChange={(value) => set({ format: value })} />
            </InlineField>
            <Text label="Legend" value={legends(query.legendFormat)} placeholder="{{label}}, or auto" onChange={(v) => set({ legendFormat: v === 'auto' ? '__auto' : v })} />
            {type !== 'logs' && (
              <InlineField label="Exemplars">
                <InlineSwitch aria-label="Exemplars" value={query.exemplars ?? options.exemplars} onChange={(e) => set({ exemplars: e.currentTarget.checked })} />
              </InlineField>
            )}
          </>
        )}
        <Text label="Min step" width={12} value={query.interval} placeholder={type === 'metrics' ? options.scrapeInterval : '1s'} onChange={(interval) => set({ interval })} />
      </InlineFieldRow>
    );
  }
  if (asksForLines(query)) {
    return (
      <InlineFieldRow>
        <Text label="Line limit" width={12} value={query.maxLines?.toString()} placeholder={String(options.maxLines)} onChange={(v) => set({ maxLines: number(v) })} />
        <InlineField label="Order">
          <Pick
            label="Order"
            width={18}
            value={query.direction ?? 'backward'}
            options={[option('backward', 'Newest first'), option('forward', 'Oldest first')]}
            onChange={(value) => set({ direction: value })}
          />
        </InlineField>
      </InlineFieldRow>
    );
  }
  if (type === 'traces') {
    return (
      <InlineFieldRow>
        <Text label="Limit" width={12} value={query.limit?.toString()} placeholder={String(options.traceLimit)} onChange={(v) => set({ limit: number(v) })} />
        <Text label="Spans a trace" width={12} value={query.spansPerTrace?.toString()} placeholder="3" onChange={(v) => set({ spansPerTrace: number(v) })} />
        <InlineField label="Table of">
          <Pick label="Table of" width={14} value={query.table ?? 'traces'} options={[option('traces', 'Traces'), option('spans', 'Spans')]} onChange={(value) => set({ table: value })} />
        </InlineField>
      </InlineFieldRow>
    );
  }
  return null;
}
