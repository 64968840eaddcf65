import { AbstractLabelOperator } from '@grafana/data';

import { fromAbstract, toAbstract } from './abstract';
import { applicability, others, signalOf } from './adhoc';
import { besideModule } from './editor/load';
import { formatValue, interpolate, keepMacros } from './interpolate';
import { liveAddress, livePath } from './live';
import { hasFilter, modify, toggleFilter } from './modify';
import { defaults, withDefaults } from './settings';
import type { BelfryQuery } from './types';

const logs = (expr: string): BelfryQuery => ({ refId: 'A', queryType: 'logs', expr });

describe('filters from log details', () => {
  test('are set, taken away, and turned round', () => {
    const one = toggleFilter(logs('{a="b"} |= "x"'), 'k.l', '=', 'v"w');
    expect(one.expr).toBe('{a="b"} |= "x" | k_l = "v\\"w"');
    expect(hasFilter(one, 'k.l', '=', 'v"w')).toBe(true);
    expect(toggleFilter(one, 'k.l', '=', 'v"w').expr).toBe('{a="b"} |= "x"');
    expect(toggleFilter(one, 'k.l', '!=', 'v"w').expr).toBe('{a="b"} |= "x" | k_l != "v\\"w"');
  });

  test('come before a comment at the end, and leave conditions of several parts alone', () => {
    expect(modify(logs('{} # all'), { type: 'ADD_FILTER', options: { key: 'k', value: 'v' } }).expr).toBe('{} | k = "v" # all');
    expect(toggleFilter(logs('{} | k = "v" or l = "w"'), 'k', '=', 'v').expr).toBe('{} | k = "v" or l = "w" | k = "v"');
  });

  test('on text, on spans and on series', () => {
    expect(modify(logs('{}'), { type: 'ADD_STRING_FILTER', options: { value: 'x"' } }).expr).toBe('{} |= "x\\""');
    expect(modify(logs('{}'), { type: 'ADD_STRING_FILTER_OUT', options: { value: 'x' } }).expr).toBe('{} != "x"');
    const traces = { refId: 'A', queryType: 'traces', expr: '{ status = error } | rate()' };
    expect(modify(traces, { type: 'ADD_FILTER', options: { key: 'name', value: 'x' } }).expr).toBe('{ status = error && name = "x" } | rate()');
    const metrics = { refId: 'A', queryType: 'metrics', expr: 'sum(a{b="c"})' };
    expect(modify(metrics, { type: 'ADD_FILTER_OUT', options: { key: 'd', value: 'e' } }).expr).toBe('sum(a{b="c", d!="e"})');
  });
});

describe('live tail', () => {
  test('has a path that changes with what is asked, and only then', () => {
    const path = livePath(logs('{a="b"}'));
    expect(livePath({ ...logs('{a="b"}'), maxLines: 5, legendFormat: 'x' })).toBe(path);
    expect(livePath(logs('{a="c"}'))).not.toBe(path);
    expect(livePath({ ...logs('{a="b"}'), filters: [{ key: 'k', operator: '=', value: 'v' }] })).not.toBe(path);
  });

  test('has a channel of at most 160 permitted characters', () => {
    const address = liveAddress('u'.repeat(40), { ...logs('{x="ü"}'.repeat(500)), refId: 'log volume / é'.repeat(20) });
    expect(`ds/${address.namespace}/${address.path}`).toMatch(/^[A-z0-9_\-/=.]{1,160}$/);
  });
});

describe('variables', () => {
  test('with several values are alternatives, quoted for a string', () => {
    expect(formatValue(['a.b', 'c"d'])).toBe('(a\\\\.b|c\\"d)');
    expect(formatValue(['x'])).toBe('x');
    expect(formatValue('a.b', { multi: true })).toBe('a\\\\.b');
    expect(formatValue('a.b\\"')).toBe('a.b\\\\\\"');
  });

  test('that are times stand for themselves', () => {
    expect(keepMacros({ __interval: { value: '7s', text: '7s' }, x: { value: 'y', text: 'y' } })).toMatchObject({ __interval: { value: '$__interval' }, x: { value: 'y' } });
  });

  test('are filled into expressions of objectives as well, and filters are kept apart', () => {
    const query = { refId: 'A', queryType: 'slo', slo: { bad: '$x' } };
    const out = interpolate(query, {}, (s) => s.replace('$x', 'y'), [{ key: 'k', operator: '=|', value: '', values: ['$x'] }]);
    expect(out.slo?.bad).toBe('y');
    expect(out.filters).toEqual([{ key: 'k', operator: '=|', value: '', values: ['y'] }]);
  });
});

describe('filters of a dashboard', () => {
  test('list names of the signal that its queries have', () => {
    expect(signalOf([logs('{}')])).toBe('logs');
    expect(signalOf([{ refId: 'A', queryType: 'patterns' }])).toBe('logs');
    expect(signalOf(undefined)).toBe('metrics');
    expect(others([{ key: 'a', operator: '=', value: '1' }, { key: 'b', operator: '=', value: '' }, { key: 'c', operator: '=', value: '2' }], 'a')).toEqual([{ key: 'c', operator: '=', value: '2' }]);
  });

  test('say where they do not apply', () => {
    const filters = [{ key: 'k', operator: '=', value: 'v' }];
    expect(applicability([logs('{}')], filters, ['g'])).toEqual([{ key: 'k', applicable: true }, { key: 'g', applicable: false, reason: 'only numbers are grouped' }]);
    expect(applicability([{ refId: 'A', queryType: 'oncall' }], filters, [])[0].applicable).toBe(false);
    expect(applicability([{ refId: 'A', queryType: 'metrics', expr: 'a' }], [{ key: 'k', operator: '>', value: '1' }], ['g'])).toMatchObject([{ applicable: false }, { applicable: true }]);
  });
});

test('matchers come along from and to other data sources', () => {
  const labelMatchers = [
    { name: 'a', value: 'b"', operator: AbstractLabelOperator.Equal },
    { name: 'c', value: 'd', operator: AbstractLabelOperator.NotEqualRegEx },
  ];
  const query = fromAbstract({ refId: 'A', labelMatchers });
  expect(query).toMatchObject({ queryType: 'logs', expr: '{a="b\\"", c!~"d"}' });
  expect(toAbstract(query)).toEqual({ refId: 'A', labelMatchers });
});

test('options that are not set are what the backend makes of them', () => {
  expect(withDefaults(undefined)).toEqual(defaults);
  expect(withDefaults({ maxLines: 0, tenant: '', exemplars: false })).toEqual({ ...defaults, exemplars: false });
});

test('the code editor is found beside the module, wherever that is', () => {
  expect(besideModule('https://cdn/x/module.js?_cache=1', 'e.js')).toBe('https://cdn/x/e.js');
  expect(besideModule('/sub/public/plugins/p/module.js', 'e.js')).toBe('http://localhost/sub/public/plugins/p/e.js');
  expect(besideModule(undefined, 'e.js')).toBe('http://localhost/public/plugins/belfry-belfry-datasource/e.js');
});
