import { CustomVariableSupport, type DataQueryRequest, type DataQueryResponse, type MetricFindValue } from '@grafana/data';
import { catchError, from, map, type Observable, of } from 'rxjs';

import { VariableEditor } from './components/VariableEditor';
import type { BelfryDatasource } from './datasource';
import { failed } from './live';
import type { VariableQuery } from './types';

/** Variables of names, values, metrics and schedules, narrowed by a selector that may contain other variables. */
export class BelfryVariables extends CustomVariableSupport<BelfryDatasource, VariableQuery> {
  editor = VariableEditor;

  constructor(private readonly datasource: BelfryDatasource) {
    super();
  }

  query(request: DataQueryRequest<VariableQuery>): Observable<DataQueryResponse> {
    const query = request.targets[0];
    return from(this.datasource.findVariable(query, request.range, request.scopedVars)).pipe(
      map((values: MetricFindValue[]) => ({ data: values })),
      catchError((err: unknown) => of(failed(query?.refId ?? 'A', err)))
    );
  }
}
