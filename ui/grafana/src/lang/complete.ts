import { type Language, type Token, tokenize, unquote } from './tokens';

/** What is being typed at a place. */
export interface Place {
  kind: 'expression' | 'label' | 'value' | 'grouping' | 'duration' | 'stage' | 'none';
  from: number; // where the word that is typed begins
  prefix: string;
  name?: string; // of the label whose value is typed
  quoted?: boolean; // a value within quotes
  match?: string; // what else the selector says, to narrow by
}

const compare = ['=', '!=', '=~', '!~', '<', '>', '<=', '>='];
const groupers = ['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'keep', 'drop', 'select'];

/** Finds out what is typed at pos from the tokens before it. */
export function placeOf(language: Language, text: string, pos: number): Place {
  const before = tokenize(text.slice(0, pos));
  const last = before[before.length - 1];
  if (last?.kind === 'comment') {
    return { kind: 'none', from: pos, prefix: '' };
  }
  const typing = last && last.to === pos && (last.kind === 'word' || last.kind === 'open-string' || last.kind === 'number') ? last : undefined;
  const earlier = typing ? before.slice(0, -1) : before;
  const open = opening(earlier);
  const prev = earlier[earlier.length - 1];
  const quoted = typing?.kind === 'open-string';
  const from = typing ? typing.from + (quoted ? 1 : 0) : pos;
  const prefix = typing ? (quoted ? typing.text.slice(1) : typing.text) : '';
  const base = { from, prefix };

  if (open?.text === '[') {
    return { ...base, kind: 'duration' };
  }
  const comparing = prev && compare.includes(prev.text) && earlier[earlier.length - 2]?.kind === 'word';
  if (comparing && (quoted || language === 'traceql')) {
    const name = earlier[earlier.length - 2].text;
    return { ...base, kind: 'value', name, quoted, match: rest(language, text, earlier, open) };
  }
  if (quoted) {
    return { ...base, kind: 'none' };
  }
  if (open?.text === '{') {
    const ready = !prev || prev === open || [',', '&&', '||', '(', '!'].includes(prev.text);
    return ready ? { ...base, kind: 'label', match: rest(language, text, earlier, open) } : { ...base, kind: 'none' };
  }
  if (open?.text === '(' && groupers.includes(earlier[earlier.indexOf(open) - 1]?.text)) {
    return { ...base, kind: 'grouping' };
  }
  if (language !== 'promql' && prev?.text === '|') {
    return { ...base, kind: 'stage' };
  }
  return { ...base, kind: 'expression' };
}

/** The bracket that is open at the end of the tokens. */
function opening(tokens: Token[]): Token | undefined {
  const stack: Token[] = [];
  for (const t of tokens) {
    if (t.kind === 'brace' && '{(['.includes(t.text)) {
      stack.push(t);
    } else if (t.kind === 'brace' && '})]'.includes(t.text)) {
      stack.pop();
    }
  }
  return stack[stack.length - 1];
}

/** The finished matchers of the selector that is being typed, and its metric. */
function rest(language: Language, text: string, tokens: Token[], open: Token | undefined): string | undefined {
  if (!open || open.text !== '{') {
    return undefined;
  }
  const at = tokens.indexOf(open);
  const inside = tokens.slice(at + 1);
  const matchers: string[] = [];
  for (let i = 0; i + 2 < inside.length; i++) {
    if (inside[i].kind === 'word' && compare.includes(inside[i + 1].text) && ['string', 'number', 'word'].includes(inside[i + 2].kind)) {
      matchers.push(text.slice(inside[i].from, inside[i + 2].to));
    }
  }
  const metric = language === 'promql' && tokens[at - 1]?.kind === 'word' && tokens[at - 1].to === open.from ? tokens[at - 1].text : '';
  if (!metric && !matchers.length) {
    return undefined;
  }
  return `${metric}{${matchers.join(language === 'traceql' ? ' && ' : ', ')}}`;
}

export interface Completion {
  label: string;
  kind: 'function' | 'keyword' | 'label' | 'value' | 'metric' | 'duration';
  apply?: string;
  detail?: string;
  info?: string;
}

/** Where names and values come from. */
export interface Source {
  names(match: string | undefined, search: string): Promise<Array<{ text: string; kind?: string; detail?: string }>>;
  values(name: string, match: string | undefined, search: string): Promise<Array<{ text: string; kind?: string }>>;
  metrics(search: string): Promise<Array<{ text: string; kind?: string; detail?: string }>>;
}

const durations = ['$__rate_interval', '$__interval', '$__range', '1m', '5m', '10m', '30m', '1h', '6h', '1d'];

/** What can stand at a place. */
export async function complete(language: Language, place: Place, source: Source): Promise<Completion[]> {
  switch (place.kind) {
    case 'duration':
      return durations.map((label) => ({ label, kind: 'duration' }));
    case 'label':
    case 'grouping': {
      const names = await source.names(place.match, place.prefix);
      return [
        ...(language === 'traceql' && place.kind === 'label' ? intrinsics : []),
        ...names.map(({ text, kind, detail }): Completion => ({ label: text, kind: 'label', detail: detail ?? kind })),
      ];
    }
    case 'value': {
      const values = await source.values(place.name ?? '', place.match, place.prefix);
      return values.map(({ text, kind }): Completion => {
        const bare = place.quoted || (language === 'traceql' && kind !== undefined && kind !== 'string');
        return { label: text, kind: 'value', apply: bare ? JSON.stringify(text).slice(1, -1) : JSON.stringify(text) };
      });
    }
    case 'stage':
      return language === 'logql' ? logStages : traceStages;
    case 'expression': {
      const fixed = { promql: promFunctions, logql: logFunctions, traceql: [] }[language];
      if (language !== 'promql' || !place.prefix) {
        return fixed;
      }
      const metrics = await source.metrics(place.prefix);
      return [...metrics.map(({ text, kind, detail }): Completion => ({ label: text, kind: 'metric', detail: kind, info: detail })), ...fixed];
    }
    default:
      return [];
  }
}

const list = (kind: Completion['kind'], text: string): Completion[] =>
  text.trim().split(/\s*\n\s*/).map((line) => {
    const [label, info] = line.split(/\s*:\s+/);
    return { label, kind, ...(info ? { info } : {}) };
  });

export const promFunctions: Completion[] = [
  ...list('function', `
    rate: how much a counter grows a second
    irate: the growth between the last two samples
    increase: how much a counter grows over the range
    delta: how much a gauge changed over the range
    idelta: the change between the last two samples
    deriv: the slope of a gauge a second
    predict_linear: where a gauge will be, going on straight
    histogram_quantile: a quantile of a histogram
    histogram_fraction: the share of observations between two bounds
    histogram_avg: the mean of a native histogram
    histogram_count: how many observations a native histogram has
    histogram_sum: the sum of a native histogram's observations
    avg_over_time: the mean over the range
    min_over_time: the least over the range
    max_over_time: the most over the range
    sum_over_time: the sum over the range
    count_over_time: how many samples there are in the range
    last_over_time: the newest sample in the range
    quantile_over_time: a quantile over the range
    stddev_over_time: the deviation over the range
    present_over_time: 1 where there are samples in the range
    absent: 1 where there is no series
    absent_over_time: 1 where there were no samples in the range
    changes: how often a gauge changed
    resets: how often a counter began anew
    abs: without its sign
    ceil: rounded up
    floor: rounded down
    round: rounded to the nearest
    clamp: held between two bounds
    clamp_max: held below a bound
    clamp_min: held above a bound
    exp: e to the power of it
    ln: the natural logarithm
    log2: the binary logarithm
    log10: the decimal logarithm
    sqrt: the square root
    sgn: its sign
    label_replace: a label made of another by a regular expression
    label_join: a label made of others
    scalar: the only sample as a number
    vector: a number as a vector
    sort: by value, ascending
    sort_desc: by value, descending
    time: the time of evaluation, in seconds
    timestamp: the time of a sample, in seconds
    day_of_week: 0 is Sunday
    hour: of the day, in UTC
    sum: over series
    avg: the mean of series
    min: the least of series
    max: the most of series
    count: how many series there are
    stddev: the deviation of series
    quantile: a quantile of series
    topk: the series with the most
    bottomk: the series with the least
    count_values: how many series have each value
    group: 1 for each group`),
  ...list('keyword', 'by\nwithout\non\nignoring\ngroup_left\ngroup_right\noffset\nbool\nand\nor\nunless'),
];

export const logFunctions: Completion[] = [
  ...list('function', `
    rate: lines a second
    count_over_time: lines in the range
    bytes_rate: bytes a second
    bytes_over_time: bytes in the range
    absent_over_time: 1 where there are no lines
    sum_over_time: the sum of an unwrapped field
    avg_over_time: the mean of an unwrapped field
    min_over_time: the least of an unwrapped field
    max_over_time: the most of an unwrapped field
    first_over_time: the oldest of an unwrapped field
    last_over_time: the newest of an unwrapped field
    quantile_over_time: a quantile of an unwrapped field
    stddev_over_time: the deviation of an unwrapped field
    sum: over series
    avg: the mean of series
    min: the least of series
    max: the most of series
    count: how many series there are
    topk: the series with the most
    bottomk: the series with the least`),
  ...list('keyword', 'by\nwithout\noffset\nbool\nand\nor\nunless'),
];

const logStages: Completion[] = list('keyword', `
    json: reads fields from JSON
    logfmt: reads fields from key=value
    pattern: reads fields by a pattern with <names>
    regexp: reads fields by a regular expression with named groups
    unpack: reads what was packed into the line
    line_format: writes the line anew
    label_format: renames or makes fields
    decolorize: without terminal colours
    drop: without these fields
    keep: with these fields only
    unwrap: a field as the number to compute with
    detected_level: a condition on the level`);

const traceStages: Completion[] = list('function', `
    rate: spans a second
    count_over_time: spans in each step
    avg_over_time: the mean of an attribute
    min_over_time: the least of an attribute
    max_over_time: the most of an attribute
    sum_over_time: the sum of an attribute
    quantile_over_time: quantiles of an attribute
    histogram_over_time: an attribute as a heatmap
    compare: what some spans have that others have not
    count: how many spans matched
    avg: the mean over the spans that matched
    min: the least over the spans that matched
    max: the most over the spans that matched
    sum: the sum over the spans that matched
    select: shows more attributes
    by: groups the spans that matched
    coalesce: joins groups again`);

const intrinsics: Completion[] = list('keyword', `
    name: of the operation
    status: error, ok or unset
    kind: server, client, producer, consumer or internal
    duration: of the span
    statusMessage: what the status says
    traceDuration: of the whole trace
    rootName: of the trace's first span
    rootServiceName: of the trace's first service
    resource.service.name: the service`);

/** What a function or keyword means, for hovering. */
export function describe(language: Language, word: string): string | undefined {
  const all = { promql: promFunctions, logql: [...logFunctions, ...logStages], traceql: [...traceStages, ...intrinsics] }[language];
  return all.find((c) => c.label === word)?.info;
}

export { unquote };
