import type { Signal } from '../types';
import { quote, type Token, tokenize, unquote } from './tokens';

/** A condition on a label, a field or an attribute. */
export interface Condition {
  name: string;
  operator: string;
  value: string;
}

/** What the builder shows of a query. Not every query can be shown. */
export interface Model {
  metric: string; // of metrics
  conditions: Condition[];
  lines: Array<{ operator: string; value: string }>; // of logs
  parser: string; // of logs: '', json, logfmt
  fields: Condition[]; // of logs, after the parser
  fn: string; // over a range, '' for none
  range: string;
  quantile: string; // of histogram_quantile and quantile_over_time
  aggregate: string; // '' for none
  by: string[];
}

export const emptyModel = (): Model => ({
  metric: '', conditions: [], lines: [], parser: '', fields: [], fn: '', range: '', quantile: '', aggregate: '', by: [],
});

export const matchOperators = ['=', '!=', '=~', '!~'];
export const traceOperators = [...matchOperators, '>', '>=', '<', '<='];
export const fieldOperators = traceOperators;
export const lineOperators = ['|=', '!=', '|~', '!~'];
export const aggregations = ['sum', 'avg', 'min', 'max', 'count'];
export const rangeFunctions: Record<Signal, string[]> = {
  metrics: ['rate', 'increase', 'irate', 'delta', 'avg_over_time', 'min_over_time', 'max_over_time', 'sum_over_time', 'last_over_time'],
  logs: ['rate', 'count_over_time', 'bytes_rate', 'bytes_over_time'],
  traces: ['rate', 'count_over_time', 'quantile_over_time'],
};

/** Writes what a model says. */
export function render(signal: Signal, m: Model): string {
  return { metrics: renderMetrics, logs: renderLogs, traces: renderTraces }[signal](m);
}

const by = (m: Model) => (m.by.length ? ` by (${m.by.join(', ')})` : '');

const matcher = (c: Condition) => `${c.name}${c.operator}${quote(c.value)}`;

function aggregated(m: Model, inner: string): string {
  return m.aggregate ? `${m.aggregate}${by(m)} (${inner})` : inner;
}

function renderMetrics(m: Model): string {
  const matchers = m.conditions.map(matcher).join(', ');
  let out = m.metric + (matchers || !m.metric ? `{${matchers}}` : '');
  if (m.fn) {
    out = `${m.fn}(${out}[${m.range || '$__rate_interval'}])`;
  }
  out = aggregated(m, out);
  return m.quantile ? `histogram_quantile(${m.quantile}, ${out})` : out;
}

function renderLogs(m: Model): string {
  const stages = [
    `{${m.conditions.map(matcher).join(', ')}}`,
    ...m.lines.map((l) => `${l.operator} ${quote(l.value)}`),
    ...(m.parser ? [`| ${m.parser}`] : []),
    ...m.fields.map((f) => `| ${f.name} ${f.operator} ${literal(f)}`),
  ].join(' ');
  return aggregated(m, m.fn ? `${m.fn}(${stages} [${m.range || '$__auto'}])` : stages);
}

const isNumber = (s: string) => /^-?\d+(\.\d+)?(ns|us|ms|s|m|h|B|KB|MB)?$/.test(s);
const isKeyword = (s: string) => /^(error|ok|unset|server|client|producer|consumer|internal|unspecified|true|false|nil)$/.test(s);

/** Sizes are compared as numbers, everything else as text. */
function literal(f: Condition): string {
  return ['>', '>=', '<', '<='].includes(f.operator) && isNumber(f.value) ? f.value : quote(f.value);
}

/** In TraceQL a value's type matters: what was written without quotes stays so, marked by how it looks. */
function traceLiteral(c: Condition): string {
  const bare = (['status', 'kind', 'span:status', 'span:kind'].includes(c.name) && isKeyword(c.value)) || isNumber(c.value) || ['true', 'false', 'nil'].includes(c.value);
  return bare ? c.value : quote(c.value);
}

function renderTraces(m: Model): string {
  const inner = m.conditions.map((c) => `${c.name} ${c.operator} ${traceLiteral(c)}`).join(' && ');
  const set = inner ? `{ ${inner} }` : '{}';
  if (!m.fn) {
    return set;
  }
  const args = m.fn === 'quantile_over_time' ? `duration, ${m.quantile || '0.95'}` : '';
  return `${set} | ${m.fn}(${args})${by(m)}`;
}

/**
 * Reads an expression into a model; undefined if the builder cannot show all of
 * it. What is read is written again and compared, so that nothing is ever lost.
 */
export function parse(signal: Signal, expr: string): Model | undefined {
  if (!expr.trim()) {
    return emptyModel();
  }
  const tokens = tokenize(expr);
  if (tokens.some((t) => t.kind === 'comment' || t.kind === 'open-string')) {
    return undefined;
  }
  const model = new Reader(signal, tokens).read();
  return model && same(tokens, tokenize(render(signal, model))) ? model : undefined;
}

/** Whether two expressions differ in nothing but white space, quotes and where by is written. */
function same(a: Token[], b: Token[]): boolean {
  const text = (t: Token) => (t.kind === 'string' ? `"${unquote(t.text)}` : t.text);
  return a.length === b.length && a.every((t, i) => text(t) === text(b[i]));
}

class Reader {
  private i = 0;

  constructor(
    private readonly signal: Signal,
    private readonly tokens: Token[]
  ) {}

  read(): Model | undefined {
    const m = emptyModel();
    const ok = this.signal === 'traces' ? this.traces(m) : this.numbers(m);
    return ok && this.i === this.tokens.length ? m : undefined;
  }

  private next(text: string): boolean {
    if (this.tokens[this.i]?.text === text) {
      this.i++;
      return true;
    }
    return false;
  }

  private word(known?: string[]): string | undefined {
    const t = this.tokens[this.i];
    if (t?.kind === 'word' && (!known || known.includes(t.text))) {
      this.i++;
      return t.text;
    }
    return undefined;
  }

  private number(): string | undefined {
    const t = this.tokens[this.i];
    return t?.kind === 'number' ? this.tokens[this.i++].text : undefined;
  }

  private string(): string | undefined {
    const t = this.tokens[this.i];
    return t?.kind === 'string' ? unquote(this.tokens[this.i++].text) : undefined;
  }

  private operator(known: string[]): string | undefined {
    const t = this.tokens[this.i];
    return t && known.includes(t.text) ? this.tokens[this.i++].text : undefined;
  }

  /** Reads [histogram_quantile(q,] [sum by (..)] ( [rate](...[range]) ). */
  private numbers(m: Model): boolean {
    const quantile = this.signal === 'metrics' && this.tokens[this.i + 1]?.text === '(' && this.word(['histogram_quantile']);
    if (quantile) {
      m.quantile = (this.next('('), this.number()) ?? '';
      if (!m.quantile || !this.next(',')) {
        return false;
      }
    }
    const called = ['(', 'by'].includes(this.tokens[this.i + 1]?.text);
    const aggregate = called ? this.word(aggregations) : undefined;
    if (aggregate) {
      m.aggregate = aggregate;
      if ((this.next('by') && !this.names(m.by)) || !this.next('(')) {
        return false;
      }
    }
    if (!this.overRange(m)) {
      return false;
    }
    return (!aggregate || this.next(')')) && (!quantile || this.next(')'));
  }

  private names(out: string[]): boolean {
    if (!this.next('(')) {
      return false;
    }
    do {
      const name = this.word();
      if (!name) {
        return false;
      }
      out.push(name);
    } while (this.next(','));
    return this.next(')');
  }

  private overRange(m: Model): boolean {
    const fn = this.tokens[this.i + 1]?.text === '(' ? this.word(rangeFunctions[this.signal]) : undefined;
    if (fn) {
      m.fn = fn;
      this.i++;
    }
    if (!(this.signal === 'logs' ? this.lines(m) : this.selector(m))) {
      return false;
    }
    if (!fn) {
      return true;
    }
    m.range = (this.next('[') && (this.number() ?? this.word())) || '';
    return m.range !== '' && this.next(']') && this.next(')');
  }

  private selector(m: Model): boolean {
    m.metric = this.word() ?? '';
    return this.tokens[this.i]?.text === '{' ? this.matchers(m) : m.metric !== '';
  }

  private matchers(m: Model): boolean {
    if (!this.next('{')) {
      return false;
    }
    while (!this.next('}')) {
      if (m.conditions.length && !this.next(',')) {
        return false;
      }
      const name = this.word();
      const operator = this.operator(matchOperators);
      const value = this.string();
      if (!name || !operator || value === undefined) {
        return false;
      }
      m.conditions.push({ name, operator, value });
    }
    return true;
  }

  private lines(m: Model): boolean {
    if (!this.matchers(m)) {
      return false;
    }
    for (let operator = this.operator(lineOperators); operator; operator = this.operator(lineOperators)) {
      const value = this.string();
      if (value === undefined) {
        return false;
      }
      m.lines.push({ operator, value });
    }
    while (this.next('|')) {
      const name = this.word();
      const operator = this.operator(fieldOperators);
      if (name && !operator && ['json', 'logfmt'].includes(name) && !m.parser && !m.fields.length) {
        m.parser = name;
        continue;
      }
      const value = this.string() ?? this.number();
      if (!name || !operator || value === undefined) {
        return false;
      }
      m.fields.push({ name, operator, value });
    }
    return true;
  }

  private traces(m: Model): boolean {
    if (!this.next('{')) {
      return false;
    }
    while (!this.next('}')) {
      if (m.conditions.length && !this.next('&&')) {
        return false;
      }
      const name = this.word();
      const operator = this.operator(traceOperators);
      const value = this.string() ?? this.number() ?? this.word();
      if (!name || !operator || value === undefined) {
        return false;
      }
      m.conditions.push({ name, operator, value });
    }
    if (!this.next('|')) {
      return true;
    }
    m.fn = this.word(rangeFunctions.traces) ?? '';
    if (!m.fn || !this.next('(')) {
      return false;
    }
    if (m.fn === 'quantile_over_time') {
      m.quantile = (this.next('duration') && this.next(',') && this.number()) || '';
    }
    return this.next(')') && (!this.next('by') || this.names(m.by));
  }
}
