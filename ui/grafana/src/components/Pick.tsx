import { Combobox, type ComboboxOption } from '@grafana/ui';
import React, { useId } from 'react';

interface Props<T extends string> {
  label: string; // for screen readers; what is seen stands beside it
  value: T | null;
  options: Array<ComboboxOption<T>> | ((search: string) => Promise<Array<ComboboxOption<T>>>);
  width?: number;
  placeholder?: string;
  custom?: boolean; // whether what is not in the list can be typed
  onChange(value: T): void;
}

const hidden: React.CSSProperties = { position: 'absolute', width: 1, height: 1, overflow: 'hidden', clipPath: 'inset(50%)', whiteSpace: 'nowrap' };

/** A list to choose from, with a name. */
export function Pick<T extends string>({ label, value, options, width, placeholder, custom, onChange }: Props<T>) {
  const id = useId();
  return (
    <>
      <label htmlFor={id} style={hidden}>
        {label}
      </label>
      <Combobox<T> id={id} width={width} placeholder={placeholder} createCustomValue={custom} value={value} options={options} onChange={(o) => onChange(o.value)} />
    </>
  );
}
