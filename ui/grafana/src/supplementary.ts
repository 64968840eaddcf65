import { type DataQueryRequest, type SupplementaryQueryOptions, SupplementaryQueryType } from '@grafana/data';

import { isLogSelection } from './lang/shape';
import { asksForLines, typeOf } from './query';
import type { BelfryQuery } from './types';

export const supplementaryTypes = [SupplementaryQueryType.LogsVolume, SupplementaryQueryType.LogsSample];

/**
 * The query beside a query: how many lines there are over time, by level; or, of
 * numbers that are computed from lines, the lines. Explore finds its answer by
 * the beginning of refId.
 */
export function supplementaryQuery(options: SupplementaryQueryOptions, query: BelfryQuery): BelfryQuery | undefined {
  if (query.hide || query.purpose || typeOf(query) !== 'logs') {
    return undefined;
  }
  const { refId, expr, filters, datasource } = query;
  const beside = { expr: expr || '{}', filters, datasource, queryType: 'logs' };
  switch (options.type) {
    case SupplementaryQueryType.LogsVolume:
      return asksForLines(query) ? { ...beside, refId: `log-volume-${refId}`, purpose: 'volume' } : undefined;
    case SupplementaryQueryType.LogsSample:
      return isLogSelection(expr ?? '') ? undefined : { ...beside, refId: `log-sample-${refId}`, purpose: 'sample', maxLines: options.limit };
    default:
      return undefined;
  }
}

export function supplementaryRequest(
  type: SupplementaryQueryType,
  request: DataQueryRequest<BelfryQuery>,
  options?: SupplementaryQueryOptions
): DataQueryRequest<BelfryQuery> | undefined {
  const targets = request.targets
    .map((query) => supplementaryQuery(options ?? ({ type } as SupplementaryQueryOptions), query))
    .filter((query): query is BelfryQuery => query !== undefined);
  return targets.length ? { ...request, targets, hideFromInspector: true, liveStreaming: false } : undefined;
}
