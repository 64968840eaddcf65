// Drives the built plugin in a headless browser against a Belfry that watches the
// demo's shop, and keeps pictures in browser/out/. BELFRY_URL names a Belfry that
// runs already.
import { build } from 'esbuild';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { steps } from './steps.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'browser/out');
const work = mkdtempSync(join(tmpdir(), 'belfry-plugin-browser-'));
const children = [];

/** Starts a process that ends with this one; resolves with the address that it says, if that is waited for. */
function start(command, args, { line = false } = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  return new Promise((resolve, reject) => {
    const hear = (d) => {
      text += d;
      const url = line && /^http:.*$/m.exec(text);
      if (url && text.includes(`${url[0]}\n`)) {
        resolve(url[0]);
      }
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', (d) => (text += d));
    child.on('exit', (code) => reject(new Error(`${command} ended with ${code}: ${text.slice(-2000)}`)));
    if (!line) {
      resolve(child);
    }
  });
}

function must(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed`);
  }
}

const freePort = () => new Promise((resolve) => {
  const s = createServer().listen(0, '127.0.0.1', () => {
    const { port } = s.address();
    s.close(() => resolve(port));
  });
});

async function eventually(what, fn) {
  const end = Date.now() + 60_000;
  for (;;) {
    const ok = await fn().catch(() => false);
    if (ok) {
      return;
    }
    if (Date.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
    await new Promise((r) => setTimeout(r, 200));
  }
}

async function belfry() {
  if (process.env.BELFRY_URL) {
    return process.env.BELFRY_URL;
  }
  let program = process.env.BELFRY_BINARY;
  if (!program) {
    program = join(work, 'belfry');
    must('go', ['build', '-o', program, './cmd/belfry'], join(root, '../..'));
  }
  const ports = [await freePort(), await freePort(), await freePort()].map((p) => `127.0.0.1:${p}`);
  await start(program, ['demo', '--dir', join(work, 'data'), '--listen', ports[0], '--otlp-grpc', ports[1], '--otlp-http', ports[2]]);
  const url = `http://${ports[0]}`;
  await eventually('Belfry', async () => (await fetch(`${url}/-/ready`)).ok);
  await eventually('telemetry', async () => {
    const answer = async (path) => (await fetch(url + path)).json();
    const logs = await answer('/loki/api/v1/labels');
    const metrics = await answer(`/api/v1/query?query=${encodeURIComponent('count(traces_spanmetrics_calls_total)')}`);
    return logs.data?.length > 0 && metrics.data.result.length > 0;
  });
  return url;
}

async function main() {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, 'host'), { recursive: true });
  await build({
    entryPoints: [join(root, 'browser/host.tsx')], outfile: join(out, 'host/host.js'), bundle: true, format: 'iife', target: 'es2022', jsx: 'transform',
    minify: true, logLevel: 'error', define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis', __dirname: '""', define: 'undefined' },
    loader: { '.svg': 'dataurl', '.css': 'empty', '.woff': 'empty', '.woff2': 'empty', '.ttf': 'empty' },
  });
  for (const name of ['system.min.js', 'extras/amd.min.js']) {
    cpSync(join(root, 'node_modules/systemjs/dist', name), join(out, 'host', name.replace('/', '-')));
  }
  writeFileSync(join(out, 'host/index.html'), `<!doctype html><meta charset="utf-8"><title>plugin</title><div id="root"></div>
<script>window.grafanaBootData={settings:{featureToggles:{},datasources:{},buildInfo:{version:"12.4.0",env:"test"},appSubUrl:"",appUrl:location.origin+"/"},user:{locale:"en"},navTree:[]}</script>
<script src="system.min.js"></script><script src="extras-amd.min.js"></script><script src="host.js"></script>`);
  const url = await belfry();
  const bridge = join(work, 'bridge');
  must('go', ['build', '-o', bridge, './browser/bridge'], root);
  const base = await start(bridge, ['-belfry', url], { line: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  let failures = 0;
  try {
    // A step that fails is tried once more on a page of its own: what depends on
    // which of a key and an answer comes first fails twice only if it is broken.
    for (const [name, step] of steps.filter(([n]) => !process.env.ONLY || n.includes(process.env.ONLY))) {
      const first = await attempt(browser, { name, step, base, url });
      if (!first) {
        console.log(`ok    ${name}`);
        continue;
      }
      const second = await attempt(browser, { name, step, base, url });
      if (!second) {
        console.log(`ok    ${name} (at the second try; the first: ${first.split('\n')[0]})`);
        continue;
      }
      failures++;
      console.log(`FAIL  ${name}\n${second}`);
      if (failures > 3) {
        throw new Error('too much fails: the other steps are left out');
      }
    }
  } finally {
    await browser.close();
  }
  return failures;
}

/** Runs a step on a page of its own, and returns what went wrong, or nothing. */
async function attempt(browser, { name, step, base, url }) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on('pageerror', (e) => complaints.push(`exception: ${e.stack ?? e.message}`));
  page.on('console', (m) => {
    if (m.type() === 'error' && !/Failed to load resource|i18next/.test(m.text())) {
      complaints.push(`console: ${m.text().slice(0, 400)}`);
    }
  });
  const open = (view, params = {}) => page.goto(`${base}/?${new URLSearchParams({ view, ...params })}`);
  let wrong = '';
  try {
    await step({ page, open, belfry: url });
  } catch (e) {
    wrong = e.message.slice(0, 1500);
  }
  if (wrong || complaints.length) {
    wrong = `${wrong}\n${complaints.join('\n').slice(0, 1500)}`.trim();
  }
  await page.screenshot({ path: join(out, `${name.replace(/\W+/g, '-')}.png`), fullPage: true });
  await page.close();
  return wrong;
}

let code = 1;
try {
  code = (await main()) ? 1 : 0;
} catch (e) {
  console.error(e.message);
} finally {
  await Promise.all(children.filter((c) => c.exitCode === null).map((child) => {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGINT');
    return gone;
  }));
  rmSync(work, { recursive: true, force: true });
}
process.exit(code);
