import { parse, render } from './builder';
import { complete, placeOf, type Source } from './complete';
import { tokenize, unquote } from './tokens';

describe('builder and code', () => {
  test.each([
    ['metrics', 'up'],
    ['metrics', 'a{b="c", d=~"e|f"}'],
    ['metrics', 'sum by (x, y) (rate(a{b="}"}[$__rate_interval]))'],
    ['metrics', 'histogram_quantile(0.95, sum by (le) (rate(h_bucket[5m])))'],
    ['metrics', '{__name__="http.requests"}'],
    ['logs', '{}'],
    ['logs', '{a="b"} |= "x \\"y\\"" !~ "z" | json | status >= 500 | user != "bob"'],
    ['logs', 'sum by (level) (count_over_time({a="b"} | logfmt [$__auto]))'],
    ['traces', '{}'],
    ['traces', '{ status = error && duration > 100ms && resource.service.name = "a" && .x != nil }'],
    ['traces', '{ kind = server } | rate() by (resource.service.name)'],
    ['traces', '{} | quantile_over_time(duration, 0.99)'],
  ] as const)('%s: %s goes there and back unchanged', (signal, expr) => {
    const model = parse(signal, expr);
    expect(model).toBeDefined();
    expect(render(signal, model!)).toBe(expr);
  });

  test('what differs in white space and quotes only can be shown', () => {
    expect(render('logs', parse('logs', '{a=`b`}|="x"')!)).toBe('{a="b"} |= "x"');
  });

  test.each([
    ['metrics', 'a / b'], ['metrics', 'sum(a) by (b)'], ['metrics', 'rate(a[5m] offset 1h)'], ['metrics', 'a # why'], ['metrics', 'sum by () (a)'],
    ['metrics', 'topk(5, a)'], ['metrics', 'a{b="c"'], ['logs', '{a="b"} | pattern "<x>"'], ['logs', '{a="b"} |= "x" or "y"'],
    ['logs', '{a="b"} | a="1" or b="2"'], ['logs', '{a="b"} | status >= "500"'], ['traces', '{ a = 1 || b = 2 }'], ['traces', '{} >> {}'], ['traces', '{ .a = "5" }'],
    ['traces', '{ .a = .b }'],
  ] as const)('%s: %s is said to be more than the builder can show', (signal, expr) => {
    expect(parse(signal, expr)).toBeUndefined();
  });
});

test('tokens are never lost', () => {
  for (const text of ['{a="b\\"c"} |~ `d` # e', 'rate(x_total{y!~"z"}[5m]) / 2', '{ .a >> b && resource.c = 5ms }', '"open', "'x'"]) {
    const tokens = tokenize(text);
    expect(tokens.map((t) => t.text).join('')).toBe(text.replace(/(?<=\S)\s+(?=\S)/g, (s, i) => (tokens.some((t) => t.from <= i && i < t.to) ? s : '')));
  }
  expect(unquote('"a\\"b"')).toBe('a"b');
});

describe('completion', () => {
  const asked: unknown[] = [];
  const source: Source = {
    names: async (...a) => (asked.push(['names', ...a]), [{ text: 'service_name', kind: 'stream' }]),
    values: async (...a) => (asked.push(['values', ...a]), [{ text: 'a"b', kind: 'string' }]),
    metrics: async (...a) => (asked.push(['metrics', ...a]), [{ text: 'up', kind: 'gauge', detail: 'help' }]),
  };
  const at = (language: 'promql' | 'logql' | 'traceql', marked: string) => placeOf(language, marked.replace('^', ''), marked.indexOf('^'));

  test.each([
    ['promql', 'ra^', { kind: 'expression', prefix: 'ra', from: 0 }],
    ['promql', 'up{jo^', { kind: 'label', prefix: 'jo', match: 'up{}' }],
    ['promql', 'up{a="b", job="x^"}', { kind: 'value', name: 'job', prefix: 'x', quoted: true, match: 'up{a="b"}' }],
    ['promql', 'sum by (in^) (up)', { kind: 'grouping', prefix: 'in' }],
    ['promql', 'rate(up[^', { kind: 'duration' }],
    ['promql', 'up # co^', { kind: 'none' }],
    ['logql', '{a="b"} | js^', { kind: 'stage', prefix: 'js' }],
    ['logql', '{a="b"} |= "x^', { kind: 'none' }],
    ['logql', '{a="b"} | level="e^', { kind: 'value', name: 'level', prefix: 'e' }],
    ['traceql', '{ res^ }', { kind: 'label', prefix: 'res' }],
    ['traceql', '{ status = er^', { kind: 'value', name: 'status', prefix: 'er' }],
    ['traceql', '{ a = 1 && .b = "^', { kind: 'value', name: '.b', match: '{a = 1}' }],
    ['traceql', '{} | ra^', { kind: 'stage', prefix: 'ra' }],
  ] as const)('%s: %s', (language, text, want) => {
    expect(at(language, text)).toMatchObject(want);
  });

  test('asks for what is needed and quotes what it puts in', async () => {
    expect(await complete('logql', at('logql', '{service_name="c^'), source)).toEqual([{ label: 'a"b', kind: 'value', apply: 'a\\"b' }]);
    expect(asked.pop()).toEqual(['values', 'service_name', undefined, 'c']);
    expect(await complete('traceql', at('traceql', '{ name = ^'), source)).toEqual([{ label: 'a"b', kind: 'value', apply: '"a\\"b"' }]);
    const first = (await complete('promql', at('promql', 'u^'), source))[0];
    expect(first).toEqual({ label: 'up', kind: 'metric', detail: 'gauge', info: 'help' });
  });
});
