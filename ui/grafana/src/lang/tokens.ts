/** The languages of the three signals. */
export type Language = 'promql' | 'logql' | 'traceql';

export type TokenKind = 'string' | 'number' | 'word' | 'operator' | 'brace' | 'comment' | 'open-string';

export interface Token {
  kind: TokenKind;
  text: string;
  from: number;
  to: number;
}

const operators = ['!=', '=~', '!~', '|=', '|~', '|>', '!>', '>=', '<=', '==', '&&', '||', '>>', '<<', '!>>', '!<<', '&>>', '&<<'];

/** Cuts an expression into tokens, comments included, white space left out. Never fails. */
export function tokenize(text: string): Token[] {
  const out: Token[] = [];
  let i = 0;
  const push = (kind: TokenKind, to: number) => {
    out.push({ kind, text: text.slice(i, to), from: i, to });
    i = to;
  };
  while (i < text.length) {
    const c = text[i];
    if (/\s/.test(c)) {
      i++;
    } else if (c === '#') {
      const end = text.indexOf('\n', i);
      push('comment', end < 0 ? text.length : end);
    } else if (c === '"' || c === '`' || c === "'") {
      const end = endOfString(text, i);
      push(end < 0 ? 'open-string' : 'string', end < 0 ? text.length : end);
    } else if (/[0-9]/.test(c)) {
      push('number', match(text, i, /[0-9][0-9a-zA-Z_.]*/y));
    } else if (/[a-zA-Z_$.:\u0080-\uffff]/.test(c)) {
      push('word', match(text, i, /[a-zA-Z0-9_$.:\u0080-\uffff-]*[a-zA-Z0-9_$.:\u0080-\uffff]|[.:$]/y));
    } else if ('{}()[],'.includes(c)) {
      push('brace', i + 1);
    } else {
      const long = [3, 2].find((n) => operators.includes(text.slice(i, i + n)));
      push('operator', i + (long ?? 1));
    }
  }
  return out;
}

function match(text: string, at: number, re: RegExp): number {
  re.lastIndex = at;
  const m = re.exec(text);
  return at + Math.max(1, m ? m[0].length : 1);
}

function endOfString(text: string, at: number): number {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\' && quote !== '`') {
      i++;
    } else if (text[i] === quote) {
      return i + 1;
    }
  }
  return -1;
}

/** The text of a string's token. */
export function unquote(token: string): string {
  if (token.startsWith('`')) {
    return token.slice(1, token.endsWith('`') && token.length > 1 ? -1 : undefined);
  }
  try {
    return JSON.parse(token.startsWith("'") ? `"${token.slice(1, -1).replace(/"/g, '\\"').replace(/\\'/g, "'")}"` : token);
  } catch {
    return token.slice(1, -1);
  }
}

/** A string as all three languages read it. */
export const quote = (s: string) => JSON.stringify(s);
