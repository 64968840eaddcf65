import type { TimeRange } from '@grafana/data';
import { Button, type ComboboxOption, IconButton, InlineField, InlineFieldRow, Input } from '@grafana/ui';
import React from 'react';

import type { BelfryDatasource } from '../datasource';
import {
  aggregations, type Condition, fieldOperators, lineOperators, matchOperators, type Model, rangeFunctions, render, traceOperators,
} from '../lang/builder';
import { quote } from '../lang/tokens';
import type { Item, Signal } from '../types';
import { Pick } from './Pick';

interface Props {
  datasource: BelfryDatasource;
  signal: Signal;
  model: Model;
  range?: TimeRange;
  onChange(model: Model): void;
}

const options = (values: string[]): Array<ComboboxOption<string>> => values.map((value) => ({ value, label: value }));

const none: ComboboxOption<string> = { value: '', label: 'none' };

/** How many values a list shows; typing finds the others. */
const shown = 500;

/** Lists that are long are searched by the server as one types. */
const searching = (ask: (search: string) => Promise<Item[]>) => async (search: string) => {
  const items = await ask(search).catch(() => []);
  return items.map(({ text, kind, detail }) => ({ value: text, label: text, description: detail ?? kind }));
};

/** The conditions but one, as a selector that narrows the values of that one. */
function narrowing(signal: Signal, model: Model, without: number): string | undefined {
  const conditions = model.conditions.filter((c, i) => i !== without && c.name && c.value);
  if (!conditions.length && !model.metric) {
    return undefined;
  }
  return signal === 'logs'
    ? `{${conditions.map((c) => `${c.name}${c.operator}${quote(c.value)}`).join(', ')}}`
    : render(signal, { ...model, conditions, fn: '', aggregate: '', quantile: '' });
}

function Conditions(props: Props & { title: string; list: Condition[]; operators: string[]; onList(list: Condition[]): void; fields?: boolean }) {
  const { datasource, signal, model, range, list, operators, onList } = props;
  const set = (i: number, change: Partial<Condition>) => onList(list.map((c, j) => (i === j ? { ...c, ...change } : c)));
  return (
    <InlineField label={props.title} labelWidth={14} grow>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8 }}>
        {list.map((c, i) => (
          <div key={i} style={{ display: 'flex' }} data-testid="belfry-condition">
            <Pick
              label={`${props.title}: name`}
              width={24}
              placeholder="name"
              custom
              value={c.name || null}
              options={searching((search) => datasource.listNames({ signal, search, range, limit: shown, match: narrowing(signal, model, i) }))}
              onChange={(value) => set(i, { name: value })}
            />
            <Pick label={`${props.title}: operator`} width={9} value={c.operator} options={options(operators)} onChange={(value) => set(i, { operator: value })} />
            <Pick
              label={`${props.title}: value`}
              width={26}
              placeholder="value"
              custom
              value={c.value || null}
              options={searching((search) =>
                c.name ? datasource.listValues({ signal, name: c.name, search, range, limit: shown, match: narrowing(signal, model, props.fields ? -1 : i) }) : Promise.resolve([])
              )}
              onChange={(value) => set(i, { value })}
            />
            <IconButton name="times" aria-label="remove" tooltip="Remove" onClick={() => onList(list.filter((_, j) => i !== j))} />
          </div>
        ))}
        <Button variant="secondary" size="sm" icon="plus" aria-label={`add: ${props.title}`} onClick={() => onList([...list, { name: '', operator: operators[0], value: '' }])} />
      </div>
    </InlineField>
  );
}

function Lines({ model, onChange }: Props) {
  const set = (i: number, change: Partial<Model['lines'][number]>) =>
    onChange({ ...model, lines: model.lines.map((l, j) => (i === j ? { ...l, ...change } : l)) });
  return (
    <InlineFieldRow>
      <InlineField label="Line" labelWidth={14} tooltip="|= contains, != does not, |~ and !~ with a regular expression" grow>
        <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8 }}>
          {model.lines.map((l, i) => (
            <div key={i} style={{ display: 'flex' }}>
              <Pick label="Line: operator" width={9} value={l.operator} options={options(lineOperators)} onChange={(value) => set(i, { operator: value })} />
              <Input aria-label="Line: text" width={30} defaultValue={l.value} onBlur={(e) => set(i, { value: e.currentTarget.value })} />
              <IconButton name="times" aria-label="remove" tooltip="Remove" onClick={() => onChange({ ...model, lines: model.lines.filter((_, j) => i !== j) })} />
            </div>
          ))}
          <Button variant="secondary" size="sm" icon="plus" aria-label="add: Line" onClick={() => onChange({ ...model, lines: [...model.lines, { operator: '|=', value: '' }] })} />
        </div>
      </InlineField>
    </InlineFieldRow>
  );
}

function Functions(props: Props) {
  const { signal, model, onChange } = props;
  const names = [none, ...options(rangeFunctions[signal])];
  const set = (change: Partial<Model>) => onChange({ ...model, ...change });
  const groups = (
    <InlineField label="By" tooltip="Separate names by commas">
      <Input aria-label="By" width={30} defaultValue={model.by.join(', ')} key={model.by.join()} onBlur={(e) => set({ by: e.currentTarget.value.split(/[\s,]+/).filter(Boolean) })} />
    </InlineField>
  );
  return (
    <InlineFieldRow>
      <InlineField label="Function" labelWidth={14}>
        <Pick label="Function" width={24} value={model.fn} options={names} onChange={(value) => set({ fn: value, range: '' })} />
      </InlineField>
      {signal !== 'traces' && model.fn && (
        <InlineField label="Range">
          <Input aria-label="Range" width={18} placeholder={signal === 'metrics' ? '$__rate_interval' : '$__auto'} defaultValue={model.range} onBlur={(e) => set({ range: e.currentTarget.value })} />
        </InlineField>
      )}
      {signal !== 'traces' && (signal === 'metrics' || model.fn) && (
        <InlineField label="Aggregate">
          <Pick label="Aggregate" width={14} value={model.aggregate} options={[none, ...options(aggregations)]} onChange={(value) => set({ aggregate: value })} />
        </InlineField>
      )}
      {(signal === 'traces' ? model.fn : model.aggregate) && groups}
      {(signal === 'metrics' || model.fn === 'quantile_over_time') && (
        <InlineField label="Quantile" tooltip="Of a histogram, 0.95 for example">
          <Input aria-label="Quantile" width={10} defaultValue={model.quantile} onBlur={(e) => set({ quantile: /^[0-9.]*$/.test(e.currentTarget.value) ? e.currentTarget.value : '' })} />
        </InlineField>
      )}
    </InlineFieldRow>
  );
}

/** Chooses a query from lists. What it makes is shown below it. */
export function Builder(props: Props) {
  const { datasource, signal, model, range, onChange } = props;
  return (
    <div data-testid="belfry-builder">
      {signal === 'metrics' && (
        <InlineFieldRow>
          <InlineField label="Metric" labelWidth={14} grow>
            <Pick
              label="Metric"
              width={60}
              placeholder="name of a metric"
              custom
              value={model.metric || null}
              options={searching((search) => datasource.listMetrics({ search, range, limit: shown }))}
              onChange={(value) => onChange({ ...model, metric: value })}
            />
          </InlineField>
        </InlineFieldRow>
      )}
      <InlineFieldRow>
        <Conditions
          {...props}
          title={{ metrics: 'Labels', logs: 'Streams', traces: 'Spans' }[signal]}
          list={model.conditions}
          operators={signal === 'traces' ? traceOperators : matchOperators}
          onList={(conditions) => onChange({ ...model, conditions })}
        />
      </InlineFieldRow>
      {signal === 'logs' && (
        <>
          <Lines {...props} />
          <InlineFieldRow>
            <InlineField label="Read fields" labelWidth={14}>
              <Pick label="Read fields" width={16} value={model.parser} options={[none, ...options(['json', 'logfmt'])]} onChange={(value) => onChange({ ...model, parser: value })} />
            </InlineField>
          </InlineFieldRow>
          <InlineFieldRow>
            <Conditions {...props} title="Fields" list={model.fields} operators={fieldOperators} fields onList={(fields) => onChange({ ...model, fields })} />
          </InlineFieldRow>
        </>
      )}
      <Functions {...props} />
    </div>
  );
}
