// The lazy chunk: CodeMirror with completion, errors in place and hover texts. It
// is loaded when a code editor is first shown and imports nothing of Grafana's.
import { acceptCompletion, autocompletion, type CompletionContext, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { linter } from '@codemirror/lint';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { EditorView, hoverTooltip, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';

import { complete, describe, placeOf, type Source } from '../lang/complete';
import { type Language, tokenize } from '../lang/tokens';
import type { Verdict } from '../types';

export interface Options {
  language: Language;
  value: string;
  label: string; // for screen readers
  placeholder: string;
  dark: boolean;
  colors: { text: string; background: string; popup: string; border: string; selected: string };
  source: Source;
  validate(expr: string): Promise<Verdict>;
  onChange(value: string): void;
  onRun(value: string): void;
  onBlur(value: string): void;
}

export interface Handle {
  set(value: string): void;
  update(options: Pick<Options, 'language' | 'dark' | 'colors' | 'placeholder' | 'label'>): void;
  focus(): void;
  destroy(): void;
}

const keywords = /^(by|without|on|ignoring|group_left|group_right|offset|bool|and|or|unless|json|logfmt|pattern|regexp|unpack|line_format|label_format|drop|keep|unwrap|select|nil|true|false)$/;

function highlighting() {
  return StreamLanguage.define<{ line: string; tokens: ReturnType<typeof tokenize> }>({
    startState: () => ({ line: '', tokens: [] }),
    token(stream, state) {
      if (stream.sol()) {
        state.line = stream.string;
        state.tokens = tokenize(stream.string);
      }
      const t = state.tokens.find((t) => t.to > stream.pos);
      if (!t || t.from > stream.pos) {
        stream.pos = t ? t.from : stream.string.length;
        return null;
      }
      stream.pos = t.to;
      if (t.kind === 'word') {
        const next = state.line.slice(t.to).trimStart()[0];
        return keywords.test(t.text) ? 'keyword' : next === '(' ? 'function' : t.text.startsWith('$') ? 'atom' : 'variableName';
      }
      return { string: 'string', 'open-string': 'string', number: 'number', operator: 'operator', brace: 'bracket', comment: 'comment' }[t.kind];
    },
    tokenTable: { function: tags.function(tags.variableName) },
  });
}

function colors(dark: boolean) {
  const c = dark
    ? { keyword: '#c792ea', fn: '#82aaff', string: '#a5d6a7', number: '#f78c6c', comment: '#7f8c98', atom: '#ffcb6b' }
    : { keyword: '#7c3aed', fn: '#1d4ed8', string: '#15803d', number: '#b45309', comment: '#6b7280', atom: '#92400e' };
  return syntaxHighlighting(
    HighlightStyle.define([
      { tag: tags.keyword, color: c.keyword },
      { tag: tags.function(tags.variableName), color: c.fn },
      { tag: tags.string, color: c.string },
      { tag: tags.number, color: c.number },
      { tag: tags.atom, color: c.atom },
      { tag: tags.comment, color: c.comment, fontStyle: 'italic' },
    ])
  );
}

function theme(o: Pick<Options, 'dark' | 'colors'>) {
  return [
    colors(o.dark),
    EditorView.theme(
      {
        '&': { color: o.colors.text, backgroundColor: o.colors.background, border: `1px solid ${o.colors.border}`, borderRadius: '2px', fontSize: '13px' },
        '&.cm-focused': { outline: `2px solid ${o.colors.selected}`, outlineOffset: '1px' },
        '.cm-content': { fontFamily: 'ui-monospace, SFMono-Regular, Menlo, monospace', padding: '6px 0', caretColor: o.colors.text, minHeight: '20px' },
        '.cm-cursor': { borderLeftColor: o.colors.text },
        '.cm-scroller': { maxHeight: '320px', overflow: 'auto' },
        '.cm-tooltip': { backgroundColor: o.colors.popup, color: o.colors.text, border: `1px solid ${o.colors.border}`, zIndex: '2000' },
        '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: o.colors.selected, color: '#fff' },
        '.cm-completionDetail': { opacity: '0.65', fontStyle: 'normal', marginLeft: '1em' },
        '.cm-placeholder': { color: o.colors.text, opacity: '0.45' },
      },
      { dark: o.dark }
    ),
  ];
}

/** How long typing rests before names are asked for and an expression is checked. */
const completionRest = 150;
const checkRest = 500;

function completions(language: () => Language, source: Source) {
  return async (context: CompletionContext) => {
    const place = placeOf(language(), context.state.doc.toString(), context.pos);
    if (place.kind === 'none' || (place.kind === 'expression' && !place.prefix && !context.explicit)) {
      return null;
    }
    if (!context.explicit) {
      await new Promise((resolve) => setTimeout(resolve, completionRest));
    }
    if (context.aborted) {
      return null; // more was typed
    }
    const found = await complete(language(), place, source).catch(() => []);
    if (context.aborted || !found.length) {
      return null;
    }
    const types = { function: 'function', keyword: 'keyword', label: 'property', value: 'text', metric: 'variable', duration: 'constant' };
    return {
      from: place.from,
      filter: true,
      options: found.map((c) => ({ label: c.label, apply: c.apply, detail: c.detail, info: c.info, type: types[c.kind] })),
    };
  };
}

export function mount(parent: HTMLElement, options: Options): Handle {
  let { language } = options;
  const themed = new Compartment();
  const labelled = new Compartment();
  let quiet = false; // while the value comes from outside
  const attributes = (o: Pick<Options, 'placeholder' | 'label'>) => [
    placeholder(o.placeholder),
    EditorView.contentAttributes.of({ 'aria-label': o.label, 'data-testid': 'belfry-code' }),
  ];
  const run = (view: EditorView) => {
    options.onRun(view.state.doc.toString());
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.value,
      extensions: [
        Prec.highest(keymap.of([{ key: 'Shift-Enter', run }, { key: 'Mod-Enter', run }, { key: 'Tab', run: acceptCompletion }])),
        history(),
        closeBrackets(),
        bracketMatching(),
        highlighting(),
        EditorView.lineWrapping,
        autocompletion({ override: [completions(() => language, options.source)], maxRenderedOptions: 100, activateOnTypingDelay: 50 }),
        linter(
          async (view) => {
            const text = view.state.doc.toString();
            if (!text.trim() || /\$\{?[a-zA-Z]/.test(text.replace(/\$\{?__[a-z_]+/g, ''))) {
              return []; // variables of the dashboard are not known here
            }
            const verdict = await options.validate(text).catch(() => undefined);
            if (!verdict || verdict.valid || text !== view.state.doc.toString()) {
              return [];
            }
            // What is missing at the end is marked on the last character.
            const from = Math.max(0, Math.min(verdict.from, text.trimEnd().length - 1));
            const to = Math.min(text.length, Math.max(verdict.to, from + 1));
            return [{ from, to, severity: 'error' as const, message: verdict.message ?? 'cannot be read' }];
          },
          { delay: checkRest }
        ),
        hoverTooltip((view, pos) => {
          const word = tokenize(view.state.doc.toString()).find((t) => t.kind === 'word' && t.from <= pos && pos <= t.to);
          const text = word && describe(language, word.text);
          if (!word || !text) {
            return null;
          }
          return {
            pos: word.from,
            end: word.to,
            create: () => {
              const dom = document.createElement('div');
              dom.textContent = `${word.text}: ${text}`;
              dom.style.padding = '4px 8px';
              return { dom };
            },
          };
        }),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        EditorView.updateListener.of((u) => {
          if (u.docChanged && !quiet) {
            options.onChange(u.state.doc.toString());
          }
          if (u.focusChanged && !u.view.hasFocus) {
            options.onBlur(u.state.doc.toString());
          }
        }),
        themed.of(theme(options)),
        labelled.of(attributes(options)),
      ],
    }),
  });
  return {
    set(value) {
      if (value !== view.state.doc.toString()) {
        quiet = true;
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } });
        quiet = false;
      }
    },
    update(o) {
      language = o.language;
      view.dispatch({ effects: [themed.reconfigure(theme(o)), labelled.reconfigure(attributes(o))] });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

export { startCompletion };
