import {
  type DataQueryRequest,
  type DataQueryResponse,
  type LiveChannelAddress,
  LiveChannelScope,
  LoadingState,
  StreamingFrameAction,
} from '@grafana/data';
import { getGrafanaLiveSrv } from '@grafana/runtime';
import { catchError, map, merge, type Observable, of } from 'rxjs';

import { isLogSelection } from './lang/shape';
import { typeOf } from './query';
import type { BelfryQuery } from './types';

/** FNV-1a, as eight hexadecimal digits. */
export function hash(text: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  return (h >>> 0).toString(16).padStart(8, '0');
}

/**
 * The path of a stream. A stream sees the query of its first subscriber only, so
 * the path changes with what is asked, and with nothing else. The whole channel
 * has at most 160 characters.
 */
export function livePath(query: BelfryQuery): string {
  const asked = JSON.stringify([query.expr ?? '', query.filters ?? []]);
  const refId = query.refId.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 40);
  return `tail/${refId}/${hash(asked)}${hash([...asked].reverse().join(''))}`;
}

/** Where a stream is: 13.2 reads stream, older ones namespace. */
export function liveAddress(uid: string, query: BelfryQuery): LiveChannelAddress {
  const { expr, filters, refId } = query;
  return {
    scope: LiveChannelScope.DataSource,
    namespace: uid,
    stream: uid,
    path: livePath(query),
    data: { expr, filters, refId, queryType: 'logs' },
  } as LiveChannelAddress;
}

export const canFollow = (query: BelfryQuery) => typeOf(query) === 'logs' && isLogSelection(query.expr ?? '');

/** Follows the lines of all queries that select some. */
export function follow(uid: string, request: DataQueryRequest<BelfryQuery>, kept: number): Observable<DataQueryResponse> {
  const streams = request.targets.filter(canFollow).map((query) =>
    getGrafanaLiveSrv()
      .getDataStream({
        addr: liveAddress(uid, query),
        buffer: { maxLength: Math.max(kept, 1000), maxDelta: Infinity, action: StreamingFrameAction.Append },
      })
      .pipe(
        map((response) => ({ ...response, key: `belfry-live-${query.refId}`, state: LoadingState.Streaming })),
        catchError((err: unknown) => of(failed(query.refId, err)))
      )
  );
  return streams.length ? merge(...streams) : of({ data: [], state: LoadingState.Done });
}

export function failed(refId: string, err: unknown): DataQueryResponse {
  const message = err instanceof Error ? err.message : String((err as { message?: string })?.message ?? err);
  return { data: [], state: LoadingState.Error, errors: [{ refId, message }] };
}
