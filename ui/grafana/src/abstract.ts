import { type AbstractLabelMatcher, AbstractLabelOperator, type AbstractQuery } from '@grafana/data';

import { quote, tokenize, unquote } from './lang/tokens';
import { typeOf } from './query';
import type { BelfryQuery } from './types';

const signs: Record<AbstractLabelOperator, string> = {
  [AbstractLabelOperator.Equal]: '=',
  [AbstractLabelOperator.NotEqual]: '!=',
  [AbstractLabelOperator.EqualRegEx]: '=~',
  [AbstractLabelOperator.NotEqualRegEx]: '!~',
};

/** A query of logs with the matchers of another data source's. */
export function fromAbstract(query: AbstractQuery): BelfryQuery {
  const matchers = query.labelMatchers.filter((m) => m.name !== '__name__');
  const expr = `{${matchers.map((m) => `${m.name}${signs[m.operator]}${quote(m.value)}`).join(', ')}}`;
  return { refId: query.refId, queryType: 'logs', expr };
}

/** The matchers of a query's first selector. */
export function toAbstract(query: BelfryQuery): AbstractQuery {
  const labelMatchers: AbstractLabelMatcher[] = [];
  const tokens = typeOf(query) === 'traces' ? [] : tokenize(query.expr ?? '').filter((t) => t.kind !== 'comment');
  const open = tokens.findIndex((t) => t.text === '{');
  for (let i = open + 1; open >= 0 && i + 2 < tokens.length && tokens[i].text !== '}'; i++) {
    const operator = (Object.keys(signs) as AbstractLabelOperator[]).find((o) => signs[o] === tokens[i + 1].text);
    if (tokens[i].kind === 'word' && operator && tokens[i + 2].kind === 'string') {
      labelMatchers.push({ name: tokens[i].text, operator, value: unquote(tokens[i + 2].text) });
      i += 2;
    }
  }
  return { refId: query.refId, labelMatchers };
}
