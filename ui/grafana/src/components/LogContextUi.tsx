import { Button } from '@grafana/ui';
import React, { useState } from 'react';

interface Props {
  all: Record<string, string>;
  chosen: Record<string, string>;
  onChange(labels: Record<string, string>): void;
}

/** The labels of a line's stream: without one, the context is wider. */
export function LogContextUi({ all, chosen, onChange }: Props) {
  const [labels, setLabels] = useState(chosen);
  const toggle = (name: string) => {
    const next = { ...labels };
    if (name in next) {
      delete next[name];
    } else {
      next[name] = all[name];
    }
    setLabels(next);
    onChange(next);
  };
  return (
    <div style={{ display: 'flex', flexWrap: 'wrap', gap: 4 }} role="group" aria-label="Labels of the context">
      {Object.entries(all).map(([name, value]) => (
        <Button key={name} size="sm" variant={name in labels ? 'primary' : 'secondary'} fill="outline" aria-pressed={name in labels} onClick={() => toggle(name)}>
          {name}=&quot;{value}&quot;
        </Button>
      ))}
    </div>
  );
}
