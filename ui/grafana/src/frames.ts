import { type DataFrame, type DataQueryResponse, dateTime, rangeUtil, type TimeRange } from '@grafana/data';

/** The span of time that the rows of a trace cover, widened. */
function traceRange(frame: DataFrame, shift: number): TimeRange | undefined {
  const starts = frame.fields.find((f) => f.name === 'startTime')?.values as number[] | undefined;
  const durations = frame.fields.find((f) => f.name === 'duration')?.values as number[] | undefined;
  if (!starts?.length || !durations) {
    return undefined;
  }
  let first = Infinity;
  let last = -Infinity;
  starts.forEach((start, i) => {
    first = Math.min(first, start);
    last = Math.max(last, start + durations[i]);
  });
  const from = dateTime(Math.floor(first) - shift);
  const to = dateTime(Math.ceil(last) + shift);
  return { from, to, raw: { from, to } };
}

/**
 * Gives the links of a trace's spans the range of the trace: what the backend
 * writes as timeRange is not read by Grafana's links.
 */
export function withTraceRange(frame: DataFrame, timeShift: string): DataFrame {
  if (frame.meta?.preferredVisualisationType !== 'trace') {
    return frame;
  }
  const range = traceRange(frame, rangeUtil.intervalToMs(timeShift));
  if (!range) {
    return frame;
  }
  const fields = frame.fields.map((field) => {
    const links = field.config?.links?.map((link) => (link.internal ? { ...link, internal: { ...link.internal, range } } : link));
    return links ? { ...field, config: { ...field.config, links } } : field;
  });
  return { ...frame, fields };
}

export function finish(response: DataQueryResponse, timeShift: string): DataQueryResponse {
  return { ...response, data: response.data.map((frame: DataFrame) => (frame.fields ? withTraceRange(frame, timeShift) : frame)) };
}

const kinds: Record<string, string> = { I: 'Stream labels', S: 'Fields', P: 'Parsed fields' };

/** The heading below which log details list a label. */
export function labelKind(label: string, frame: DataFrame | null, index: number | null): string | null {
  const types = frame?.fields.find((f) => f.name === 'labelTypes')?.values[index ?? 0] as Record<string, string> | undefined;
  return types && types[label] ? (kinds[types[label]] ?? null) : null;
}
