import { useTheme2 } from '@grafana/ui';
import React, { useEffect, useRef, useState } from 'react';

import type { BelfryDatasource } from '../datasource';
import type { Handle, Options } from '../editor/codemirror';
import { loadEditor } from '../editor/load';
import type { Source } from '../lang/complete';
import type { Language } from '../lang/tokens';
import type { Signal } from '../types';
import type { TimeRange } from '@grafana/data';

const languages: Record<Signal, Language> = { metrics: 'promql', logs: 'logql', traces: 'traceql' };

export const languageOf = (signal: Signal) => languages[signal];

/** How many suggestions a completion asks for: typing narrows them. */
const suggestions = 200;

export function sourceOf(datasource: BelfryDatasource, signal: () => Signal, range: () => TimeRange | undefined): Source {
  const ask = () => ({ signal: signal(), range: range(), limit: suggestions });
  return {
    names: (match, search) => datasource.listNames({ ...ask(), match, search }),
    values: (name, match, search) => datasource.listValues({ ...ask(), name, match, search }),
    metrics: (search) => datasource.listMetrics({ ...ask(), search }),
  };
}

export interface Props {
  datasource: BelfryDatasource;
  signal: Signal;
  value: string;
  range?: TimeRange;
  label?: string;
  placeholder?: string;
  onChange(value: string): void;
  onRun(value: string): void;
}

const placeholders: Record<Signal, string> = {
  metrics: 'sum by (service_name) (rate(http_requests_total[$__rate_interval]))',
  logs: '{service_name="checkout"} |= "refused"',
  traces: '{ status = error && duration > 1s }, or the ID of a trace',
};

/** An editor for one of the three languages. Until it is loaded, and if it cannot be, a plain text area. */
export function CodeEditor(props: Props) {
  const theme = useTheme2();
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<Handle>();
  const latest = useRef(props);
  latest.current = props;
  const [plain, setPlain] = useState(true);
  const hint = props.placeholder ?? placeholders[props.signal];
  const label = props.label ?? `Expression in ${{ metrics: 'PromQL', logs: 'LogQL', traces: 'TraceQL' }[props.signal]}`;

  const look = (): Pick<Options, 'language' | 'dark' | 'colors' | 'placeholder' | 'label'> => ({
    language: languageOf(props.signal),
    dark: theme.isDark,
    placeholder: hint,
    label,
    colors: {
      text: theme.colors.text.primary,
      background: theme.components.input.background,
      popup: theme.colors.background.elevated ?? theme.colors.background.primary,
      border: theme.components.input.borderColor,
      selected: theme.colors.primary.main,
    },
  });

  useEffect(() => {
    let gone = false;
    loadEditor().then(
      ({ mount }) => {
        if (gone || !host.current) {
          return;
        }
        handle.current = mount(host.current, {
          ...look(),
          value: latest.current.value,
          source: sourceOf(latest.current.datasource, () => latest.current.signal, () => latest.current.range),
          validate: (expr) => latest.current.datasource.validate(latest.current.signal, expr),
          onChange: (value) => latest.current.onChange(value),
          onRun: (value) => latest.current.onRun(value),
          onBlur: (value) => value !== latest.current.value && latest.current.onChange(value),
        });
        setPlain(false);
      },
      () => undefined // the text area stays
    );
    return () => {
      gone = true;
      handle.current?.destroy();
      handle.current = undefined;
    };
  }, []);

  useEffect(() => handle.current?.set(props.value), [props.value]);
  useEffect(() => handle.current?.update(look()), [props.signal, theme, hint, label]);

  return (
    <div style={{ width: '100%', minWidth: 0 }}>
      <div ref={host} />
      {plain && (
        <textarea
          aria-label={label}
          placeholder={hint}
          value={props.value}
          rows={2}
          spellCheck={false}
          style={{ width: '100%', fontFamily: 'monospace', background: theme.components.input.background, color: theme.colors.text.primary, border: `1px solid ${theme.components.input.borderColor}`, padding: 6 }}
          onChange={(e) => props.onChange(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === 'Enter' && (e.shiftKey || e.ctrlKey || e.metaKey)) {
              e.preventDefault();
              props.onRun(e.currentTarget.value);
            }
          }}
        />
      )}
    </div>
  );
}
