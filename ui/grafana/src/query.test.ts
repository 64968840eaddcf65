import { CoreApp } from '@grafana/data';

import { asksForLines, asksForNumbers, defaultQuery, displayText, isComplete, typeOf, typesFor } from './query';

const q = (rest: object) => ({ refId: 'A', ...rest });

test('the type of a query that says it in other words', () => {
  expect(typeOf(q({ queryType: 'traceql', expr: '{}' }))).toBe('traces');
  expect(typeOf(q({ expr: '0123456789abcdef0123456789ABCDEF' }))).toBe('traces');
  expect(typeOf(q({ expr: 'up' }))).toBe('metrics');
  expect(typeOf(q({ queryType: 'logs' }))).toBe('logs');
});

test('defaults are logs in Explore and metrics elsewhere', () => {
  expect(defaultQuery(CoreApp.Explore).queryType).toBe('logs');
  expect(defaultQuery(CoreApp.Dashboard).queryType).toBe('metrics');
  expect(defaultQuery(CoreApp.UnifiedAlerting).queryType).toBe('metrics');
});

test('alert rules are offered what gives numbers', () => {
  expect(typesFor(CoreApp.UnifiedAlerting).map((t) => t.value)).toEqual(['metrics', 'logs', 'traces']);
  expect(typesFor(CoreApp.Explore).length).toBeGreaterThan(5);
});

test('an empty expression of metrics asks nothing', () => {
  expect(isComplete(q({ queryType: 'metrics', expr: ' ' }))).toBe(false);
  expect(isComplete(q({ queryType: 'incidents' }))).toBe(true);
  expect(isComplete(q({ queryType: 'logs', hide: true }))).toBe(false);
});

test('lines or numbers', () => {
  expect(asksForLines(q({ queryType: 'logs', expr: '# all\n{a="b"} |= "sum("' }))).toBe(true);
  expect(asksForLines(q({ queryType: 'logs', expr: 'sum(rate({a="b"}[1m]))' }))).toBe(false);
  expect(asksForNumbers(q({ queryType: 'traces', expr: '{ name = "| rate()" }' }))).toBe(false);
  expect(asksForNumbers(q({ queryType: 'traces', expr: '{} | rate()' }))).toBe(true);
});

test('what a query is called', () => {
  expect(displayText(q({ queryType: 'logs', expr: '{}' }))).toBe('{}');
  expect(displayText(q({ queryType: 'oncall', view: 'now' }))).toBe('On call: now');
});
