import type { QueryEditorProps } from '@grafana/data';
import { Alert, Button, RadioButtonGroup } from '@grafana/ui';
import React, { useState } from 'react';

import type { BelfryDatasource } from '../datasource';
import { emptyModel, type Model, parse, render } from '../lang/builder';
import { traceId } from '../lang/shape';
import { defaultQuery, hasExpression, typeOf, typesFor } from '../query';
import type { BelfryOptions, BelfryQuery, QueryType, Signal } from '../types';
import { Builder } from './Builder';
import { CodeEditor } from './CodeEditor';
import { Options } from './Options';
import { OwnQuery } from './OwnQuery';

type Props = QueryEditorProps<BelfryDatasource, BelfryQuery, BelfryOptions>;

const signalOfType = (type: QueryType, source?: string): Signal => {
  if (type === 'traces') {
    return 'traces';
  }
  return type === 'logs' || type === 'patterns' || source === 'logs' ? 'logs' : 'metrics';
};

/** The other type's expression makes no sense: each type keeps its own while one switches to and fro. */
function useRemembered(query: BelfryQuery) {
  const [expressions, setExpressions] = useState<Partial<Record<QueryType, string>>>({});
  return (to: QueryType): BelfryQuery => {
    setExpressions({ ...expressions, [typeOf(query)]: query.expr });
    const { refId, datasource, key, hide } = query;
    const expr = expressions[to] ?? (to === 'logs' || to === 'patterns' || to === 'traces' ? '{}' : '');
    return { ...defaultQuery(), editorMode: query.editorMode, refId, datasource, key, hide, queryType: to, expr };
  };
}

/** The editor of a query: its type first, then its expression or its options. */
export function QueryEditor({ datasource, query: given, range, app, onChange, onRunQuery }: Props) {
  const query: BelfryQuery = { ...given, expr: given.expr ?? (given as { query?: string }).query ?? '' };
  const type = typeOf(query);
  const switchTo = useRemembered(query);
  const run = (changed: BelfryQuery) => {
    onChange(changed);
    onRunQuery();
  };
  const written = hasExpression(type) || (type === 'annotations' && ['metrics', 'logs', 'alerts', 'deploys'].includes(query.source ?? 'deploys'));
  return (
    <div style={{ display: 'flex', flexDirection: 'column', gap: 8 }} data-testid="belfry-query-editor">
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8, alignItems: 'center' }}>
        <RadioButtonGroup<QueryType> size="sm" aria-label="Type of query" options={typesFor(app)} value={type} onChange={(to) => onChange(switchTo(to))} />
        <div style={{ flex: 1 }} />
        {(type === 'metrics' || type === 'logs' || type === 'traces') && (
          <RadioButtonGroup
            size="sm"
            aria-label="Mode of the editor"
            options={[
              { value: 'builder', label: 'Builder' },
              { value: 'code', label: 'Code' },
            ]}
            value={query.editorMode ?? 'code'}
            onChange={(editorMode) => onChange({ ...query, editorMode: editorMode as BelfryQuery['editorMode'] })}
          />
        )}
        <Button size="sm" variant="secondary" icon="play" tooltip="Shift+Enter or Ctrl+Enter in the expression" onClick={() => run(query)}>
          Run
        </Button>
      </div>
      {written && <Expression datasource={datasource} query={query} signal={signalOfType(type, query.source)} range={range} onChange={onChange} onRun={run} />}
      <OwnQuery datasource={datasource} type={type} query={query} onChange={run} />
      <Options query={query} app={app} options={datasource.options} onChange={run} />
    </div>
  );
}

interface ExpressionProps {
  datasource: BelfryDatasource;
  query: BelfryQuery;
  signal: Signal;
  range: Props['range'];
  onChange(query: BelfryQuery): void;
  onRun(query: BelfryQuery): void;
}

function Expression({ datasource, query, signal, range, onChange, onRun }: ExpressionProps) {
  const expr = query.expr ?? '';
  const wantsBuilder = query.editorMode === 'builder' && typeOf(query) === signal;
  const readable = wantsBuilder && !traceId(expr) ? parse(signal, expr) : undefined;
  // What is half chosen cannot be read back from its expression, and is kept here.
  const [draft, setDraft] = useState<{ expr: string; model: Model }>();
  const model = wantsBuilder && draft?.expr === expr ? draft.model : readable;
  if (wantsBuilder && model) {
    return (
      <>
        <Builder
          datasource={datasource}
          signal={signal}
          model={model ?? emptyModel()}
          range={range}
          onChange={(changed) => {
            const whole = { ...changed, conditions: changed.conditions.filter((c) => c.name), fields: changed.fields.filter((f) => f.name), lines: changed.lines.filter((l) => l.value) };
            const text = signal === 'metrics' && !whole.metric && !whole.conditions.length ? '' : render(signal, whole);
            setDraft({ expr: text, model: changed });
            onChange({ ...query, expr: text });
          }}
        />
        <code data-testid="belfry-built">{expr}</code>
      </>
    );
  }
  return (
    <>
      {wantsBuilder && (
        <Alert severity="info" title="This query cannot be shown as builder">
          It says more than the builder can show. It is kept as it is, and edited as code.
        </Alert>
      )}
      <CodeEditor
        datasource={datasource}
        signal={signal}
        value={expr}
        range={range}
        onChange={(changed) => onChange({ ...query, expr: changed })}
        onRun={(changed) => onRun({ ...query, expr: changed })}
      />
    </>
  );
}
