import { DataSourcePlugin } from '@grafana/data';

import { ConfigEditor } from './components/ConfigEditor';
import { QueryEditor } from './components/QueryEditor';
import { QueryEditorHelp } from './components/QueryEditorHelp';
import { BelfryDatasource } from './datasource';
import type { BelfryOptions, BelfryQuery } from './types';

export const plugin = new DataSourcePlugin<BelfryDatasource, BelfryQuery, BelfryOptions>(BelfryDatasource)
  .setConfigEditor(ConfigEditor)
  .setQueryEditor(QueryEditor)
  .setQueryEditorHelp(QueryEditorHelp);
