/** @jest-environment node */
import { execFileSync } from 'child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';

import { defaults } from '../src/settings';

const root = join(__dirname, '..');
const dist = mkdtempSync(join(tmpdir(), 'belfry-plugin-dist-'));
const read = (name: string) => readFileSync(join(dist, name), 'utf8');
const json = (name: string) => JSON.parse(read(name));

beforeAll(() => {
  execFileSync('node', ['build/build.mjs', dist], { cwd: root, stdio: 'inherit' });
}, 60_000);
afterAll(() => rmSync(dist, { recursive: true }));

test('dist has what Grafana and its validator look for, and nothing else', () => {
  const names = readdirSync(dist).map((n) => n.replace(/^editor\.[0-9a-f]{12}\.js$/, 'editor.js'));
  expect(names.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'dashboards', 'editor.js', 'img', 'module.js', 'module.js.map', 'plugin.json']);
});

test('the manifest says what the plugin can, and its paths lead somewhere', () => {
  const manifest = json('plugin.json');
  expect(manifest).toMatchObject({ id: 'belfry-belfry-datasource', type: 'datasource', executable: 'gpx_belfry' });
  for (const power of ['backend', 'metrics', 'logs', 'tracing', 'alerting', 'annotations', 'streaming', 'multiValueFilterOperators']) {
    expect(manifest[power]).toBe(true);
  }
  expect(manifest.info.updated).toMatch(/^\d{4}-\d\d-\d\d$/);
  for (const path of [manifest.info.logos.small, manifest.info.logos.large, ...manifest.includes.map((i: { path: string }) => i.path)]) {
    expect(statSync(join(dist, path)).size).toBeGreaterThan(0);
  }
  expect(manifest.dependencies.grafanaDependency).toMatch(/^>=\d+\.\d+\.\d+$/);
});

test('manifest, package and changelog agree on the version', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(json('plugin.json').info.version).toBe(version);
  expect(read('CHANGELOG.md')).toContain(`## ${version}\n`);
  expect(read('README.md').length).toBeGreaterThan(500);
  expect(read('LICENSE')).toContain('Apache License');
});

test('module.js is an AMD module that brings no React of its own', () => {
  const module = read('module.js');
  expect(module).toMatch(/^define\(\["module","react","@grafana\/data","@grafana\/runtime","@grafana\/ui","rxjs"\]/);
  expect(module).not.toMatch(/jsx-runtime|react-dom|__SECRET_INTERNALS|__CLIENT_INTERNALS|react\.element|react\.transitional/);
  expect(module.length).toBeLessThan(200_000);
  const editor = readdirSync(dist).find((n) => n.startsWith('editor.'))!;
  expect(module).toContain(editor);
  expect(read(editor)).not.toMatch(/react\.element|jsx-runtime|@grafana/);
});

test('the source map names sources that exist', () => {
  const map = json('module.js.map');
  for (const source of map.sources as string[]) {
    expect(source).toMatch(/^\.\.\/|^\//);
  }
  expect(map.sources.filter((s: string) => s.includes('/src/')).length).toBeGreaterThan(20);
  expect(map.sourcesContent).toHaveLength(map.sources.length);
});

test('the logo is a plain picture', () => {
  expect(read('img/logo.svg')).not.toMatch(/<script|on\w+=|<foreignObject|href=/i);
});

test('the lock file names the public registry only', () => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const hosts = new Set([...lock.matchAll(/"resolved": "(https?|git\+\w+):\/\/([^/]+)\//g)].map((m) => m[2]));
  expect([...hosts].filter((h) => h !== 'registry.npmjs.org')).toEqual([]);
});

test('defaults are the same in the backend', () => {
  const go = readFileSync(join(root, 'pkg/plugin/settings.go'), 'utf8');
  const value = (name: string) => new RegExp(`${name}\\s+= (.*)`).exec(go)?.[1];
  expect(value('defaultScrape')).toBe(`${parseInt(defaults.scrapeInterval, 10)} * time.Second`);
  expect(value('defaultTimeShift')).toBe(`${parseInt(defaults.timeShift, 10)} * time.Minute`);
  expect(value('defaultLines')).toBe(String(defaults.maxLines));
  expect(value('defaultTraces')).toBe(String(defaults.traceLimit));
});

describe('dashboards', () => {
  const names = readdirSync(join(root, 'src/dashboards'));

  test('are as they are said', () => {
    const said = JSON.parse(
      execFileSync('node', ['--input-type=module', '-e', `import { dashboards } from './build/dashboards.mjs'; console.log(JSON.stringify(dashboards))`], { cwd: root, encoding: 'utf8' })
    );
    for (const name of names) {
      expect(JSON.parse(readFileSync(join(root, 'src/dashboards', name), 'utf8'))).toEqual(said[name.replace('.json', '')]);
    }
  });

  test.each(names)('%s has panels that do not overlap and data sources that are chosen', (name) => {
    const d = JSON.parse(readFileSync(join(root, 'src/dashboards', name), 'utf8'));
    const taken = new Set<string>();
    for (const { gridPos: g, targets, datasource } of d.panels) {
      expect(datasource.uid).toBe('${datasource}');
      expect(targets.length).toBeGreaterThan(0);
      for (let x = g.x; x < g.x + g.w; x++) {
        for (let y = g.y; y < g.y + g.h; y++) {
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
      expect(g.x + g.w).toBeLessThanOrEqual(24);
    }
  });
});
