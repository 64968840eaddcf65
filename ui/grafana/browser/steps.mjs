// What the browser does, step by step; each gets a page of its own.
import assert from 'node:assert/strict';

const code = (page) => page.getByTestId('belfry-code');
const query = async (page) => JSON.parse(await page.getByTestId('query').textContent());
const rows = async (page) => {
  await page.getByTestId('frame').first().waitFor();
  return page.getByTestId('frame').allTextContents();
};

/** Opens the editor with a query, and runs it with the keyboard from within the code. */
async function run({ page, open }, first, app) {
  await open('query', { query: JSON.stringify(first), ...(app ? { app } : {}) });
  await code(page).click();
  await page.keyboard.press('Shift+Enter');
  return rows(page);
}

export const steps = [
  ['module loads and its help shows', async ({ page, open }) => {
    await open('help');
    await page.getByText('Queries to begin with').waitFor();
    assert.ok(await page.evaluate(() => window.plugin.components.QueryEditor.length >= 0));
  }],
  ['config editor', async ({ page, open }) => {
    await open('config');
    await page.getByTestId('belfry-config-editor').waitFor();
    await page.getByLabel('Tenant').fill('shop');
    await page.getByLabel('Tenant').blur();
    await page.getByText('Add a field').click();
    await page.getByLabel('Matcher').fill('order=(\\w+)');
    await page.getByLabel('Matcher').blur();
    const options = JSON.parse(await page.getByTestId('options').textContent());
    assert.equal(options.jsonData.tenant, 'shop');
    assert.equal(options.jsonData.derivedFields[0].matcher, 'order=(\\w+)');
  }],
  ['logs by keyboard', async (world) => {
    const found = await run(world, { queryType: 'logs', expr: '{}' });
    assert.match(found[0], /shown as logs/);
    assert.match(found[0], /timestamp.*body.*severity.*id/s);
  }],
  ['typing does not run a query', async ({ page, open }) => {
    await open('query', { query: '{"queryType":"logs","expr":""}' });
    await code(page).click();
    await page.keyboard.type('{} |= "x"', { delay: 10 });
    await page.waitForTimeout(1200);
    const asked = await page.evaluate(() => window.requests.filter((r) => r.includes('ds/query')).length);
    assert.equal(asked, 0);
  }],
  ['completion of a label and its values', async ({ page, open }) => {
    await open('query', { query: '{"queryType":"logs","expr":""}' });
    await code(page).click();
    await page.keyboard.type('{service');
    // By a click: the editor takes no Enter in the moment that a list has just come up.
    await page.locator('.cm-tooltip-autocomplete').getByText('service_name').first().click();
    await page.keyboard.type('="');
    await page.locator('.cm-tooltip-autocomplete').getByText('checkout').first().waitFor();
  }],
  ['an error is shown in place', async ({ page, open }) => {
    await open('query', { query: '{"queryType":"metrics","expr":"sum(rate(up[5m])"}' });
    await page.locator('.cm-lintRange-error').first().waitFor();
    await page.locator('.cm-lintRange-error').first().hover();
    await page.locator('.cm-tooltip-lint').waitFor();
  }],
  ['an error of LogQL is shown in place', async ({ page, open }) => {
    await open('query', { query: JSON.stringify({ queryType: 'logs', expr: '{service_name="cart" | json' }) });
    await page.locator('.cm-lintRange-error, .cm-lintPoint-error').first().waitFor();
  }],
  ['an error of TraceQL is shown in place', async ({ page, open }) => {
    await open('query', { query: JSON.stringify({ queryType: 'traces', expr: '{ status = }' }) });
    await page.locator('.cm-lintRange-error, .cm-lintPoint-error').first().waitFor();
  }],
  ['metrics with exemplars', async (world) => {
    const found = await run(world, { queryType: 'metrics', expr: 'sum by (service) (rate(traces_spanmetrics_calls_total[1m]))', legendFormat: '{{service}}' });
    assert.match(found[0], /shown as graph/);
  }],
  ['traces and one of them', async (world) => {
    const found = await run(world, { queryType: 'traces', expr: '{}' });
    assert.match(found[0], /shown as table/);
    const id = await world.page.locator('td').first().textContent();
    const one = await run(world, { queryType: 'traces', expr: id });
    assert.match(one[0], /shown as trace/);
    assert.match(one[1], /nodes.*shown as nodeGraph/);
    const ranged = await world.page.evaluate(async (expr) => {
      const now = Date.now();
      const r = await new Promise((ok) => window.ds.query({ targets: [{ refId: 'A', queryType: 'traces', expr }], range: { from: { valueOf: () => now - 1e6 }, to: { valueOf: () => now } }, scopedVars: {}, intervalMs: 1000 }).subscribe(ok));
      const links = r.data[0].fields.find((f) => f.name === 'spanID').config.links;
      return links.every((l) => l.internal.range.from.valueOf() < l.internal.range.to.valueOf());
    }, id);
    assert.ok(ranged, 'links of spans have the range of the trace');
  }],
  ['builder makes a query and code keeps it', async ({ page, open }) => {
    await open('query', { query: JSON.stringify({ queryType: 'logs', expr: '{service_name="checkout"} |= "refused"', editorMode: 'builder' }) });
    await page.getByTestId('belfry-builder').waitFor();
    await page.getByLabel('add: Line').click();
    await page.getByLabel('Line: text').nth(1).fill('x');
    await page.getByLabel('Line: text').nth(1).blur();
    await page.getByText('|= "x"').first().waitFor();
    assert.equal((await query(page)).expr, '{service_name="checkout"} |= "refused" |= "x"');
    await page.getByRole('radio', { name: 'Code' }).check({ force: true });
    assert.equal(await code(page).textContent(), '{service_name="checkout"} |= "refused" |= "x"');
  }],
  ['builder offers values', async ({ page, open }) => {
    await open('query', { query: JSON.stringify({ queryType: 'metrics', expr: 'sum by (service) (rate(traces_spanmetrics_calls_total{service="cart"}[$__rate_interval]))', editorMode: 'builder' }) });
    await page.getByTestId('belfry-builder').waitFor();
    await page.getByLabel('Labels: value').click();
    await page.getByRole('option', { name: 'checkout' }).first().click();
    assert.match((await query(page)).expr, /service="checkout"/);
  }],
  ['builder says what it cannot show', async ({ page, open }) => {
    await open('query', { query: JSON.stringify({ queryType: 'metrics', expr: 'a / on(x) b', editorMode: 'builder' }) });
    await page.getByText('cannot be shown as builder').waitFor();
    assert.equal(await code(page).textContent(), 'a / on(x) b');
  }],
  ['every other type answers', async ({ page, open }) => {
    for (const label of ['Service map', 'Log patterns', 'Incidents', 'On call', 'Objectives', 'Cardinality', 'Annotations']) {
      await open('query', { query: '{"queryType":"metrics","expr":"up"}' });
      await page.getByRole('radio', { name: label }).check({ force: true });
      await page.getByRole('button', { name: 'Run' }).click();
      await page.getByTestId('result').waitFor();
      assert.equal(await page.getByRole('alert').count(), 0, label);
      await page.screenshot({ path: new URL(`./out/type-${label.replace(/ /g, '-')}.png`, import.meta.url).pathname });
    }
  }],
  ['an alert rule is offered numbers', async ({ page, open }) => {
    await open('query', { app: 'unified-alerting' });
    await page.getByTestId('belfry-query-editor').waitFor();
    assert.equal(await page.getByText('Incidents').count(), 0);
  }],
  ['live tail', async ({ page, open }) => {
    await open('query', { query: '{"queryType":"logs","expr":"{}"}' });
    await code(page).waitFor();
    await page.getByTestId('live').click();
    await page.locator('[data-state="Streaming"]').waitFor();
    const count = async () => Number(/(\d+) rows/.exec((await rows(page))[0])[1]);
    const before = await count();
    await page.waitForFunction((n) => Number(/(\d+) rows/.exec(document.querySelector('[data-testid=frame]').textContent)[1]) > n, before);
    await page.getByTestId('live').click();
  }],
  ['variable editor', async ({ page, open }) => {
    await open('variable');
    await page.getByTestId('belfry-variable-editor').waitFor();
    await page.getByLabel('Name').click();
    await page.getByRole('option', { name: /service_name/ }).first().click();
    assert.equal((await query(page)).name, 'service_name');
  }],
  ['ten thousand values', async ({ page, open }) => {
    await page.route('**/resources/values*', (route) => {
      const all = [...Array(10_000).keys()].map((i) => ({ text: `value-${String(i).padStart(5, '0')}` }));
      const asked = new URL(route.request().url()).searchParams;
      const found = all.filter((i) => i.text.includes(asked.get('search') ?? ''));
      return route.fulfill({ json: { items: found.slice(0, Number(asked.get('limit'))), truncated: true } });
    });
    await open('query', { query: JSON.stringify({ queryType: 'logs', expr: '' }) });
    await code(page).click();
    await page.keyboard.type('{pod="value-099');
    await page.locator('.cm-tooltip-autocomplete').getByText('value-09900').waitFor();
    assert.ok((await page.locator('.cm-tooltip-autocomplete li').count()) <= 100);
  }],
  ['light theme', async ({ page, open }) => {
    await open('query', { theme: 'light', query: JSON.stringify({ queryType: 'traces', expr: '{ status = error && duration > 1s } | rate() by (resource.service.name)' }) });
    await code(page).waitFor();
  }],
];
