import type { BelfryOptions } from './types';

/** What options are if they are not set; pkg/plugin/settings.go has the same. */
export const defaults = {
  scrapeInterval: '15s',
  maxLines: 100,
  traceLimit: 20,
  exemplars: true,
  nodeGraph: true,
  timeShift: '5m',
} satisfies BelfryOptions;

export type FilledOptions = BelfryOptions & typeof defaults;

export function withDefaults(options: BelfryOptions | undefined): FilledOptions {
  const filled: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value !== undefined && value !== null && value !== '' && value !== 0) {
      filled[name] = value;
    }
  }
  return filled as unknown as FilledOptions;
}
