import { type DataFrame, dataFrameFromJSON } from '@grafana/data';
import { readdirSync, readFileSync } from 'fs';
import { join } from 'path';

const dir = join(__dirname, '../pkg/plugin/testdata');

/** The frames that the backend's tests hold themselves to, as Grafana reads them. */
export function golden(name: string): DataFrame[] {
  const text = readFileSync(join(dir, `${name}.jsonc`), 'utf8').replace(/^\/\/.*$/gm, '');
  return JSON.parse(text).frames.map(dataFrameFromJSON);
}

export const goldenNames = () => readdirSync(dir).map((f) => f.replace('.jsonc', ''));
