// Builds the front end of the plugin into dist/: module.js as an AMD module that
// takes React and Grafana's libraries from its host, the code editor as a chunk
// beside it that is loaded when it is needed, and the files that come along.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = resolve(root, process.argv[2] ?? 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What the host provides, so that there is one React and one of each in the page. */
const shared = ['react', '@grafana/data', '@grafana/runtime', '@grafana/ui', 'rxjs'];

mkdirSync(dist, { recursive: true });
for (const name of readdirSync(dist)) {
  if (!name.startsWith('gpx_')) {
    rmSync(join(dist, name), { recursive: true });
  }
}

const common = {
  bundle: true,
  minify: true,
  target: 'es2022',
  jsx: 'transform', // React.createElement: no jsx-runtime, which differs between React 18 and 19
  sourcemap: true,
  sourcesContent: true,
  legalComments: 'none',
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
  absWorkingDir: root,
};

const editor = await build({ ...common, entryPoints: ['src/editor/codemirror.ts'], format: 'esm', sourcemap: false, write: false });
const text = editor.outputFiles[0].text;
const chunk = `editor.${createHash('sha256').update(text).digest('hex').slice(0, 12)}.js`;
writeFileSync(join(dist, chunk), text);

const names = shared.map((_, i) => `d${i}`);
await build({
  ...common,
  entryPoints: ['src/module.ts'],
  outfile: join(dist, 'module.js'),
  format: 'cjs',
  platform: 'browser',
  external: shared,
  define: { ...common.define, EDITOR_CHUNK: JSON.stringify(chunk) },
  banner: {
    js: `define(${JSON.stringify(['module', ...shared])},function(amd,${names.join(',')}){var module={exports:{}},exports=module.exports,shared={${shared
      .map((s, i) => `${JSON.stringify(s)}:${names[i]}`)
      .join(',')}};function require(n){return shared[n]}`,
  },
  footer: { js: 'return module.exports});' },
});

const manifest = readFileSync(join(root, 'src/plugin.json'), 'utf8');
const today = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000) * 1000).toISOString().slice(0, 10);
writeFileSync(join(dist, 'plugin.json'), manifest.replace('%VERSION%', version).replace('%TODAY%', today));
for (const name of ['img', 'dashboards']) {
  cpSync(join(root, 'src', name), join(dist, name), { recursive: true });
}
for (const name of ['README.md', 'CHANGELOG.md']) {
  cpSync(join(root, name), join(dist, name));
}
cpSync(join(root, '../../LICENSE'), join(dist, 'LICENSE'));
