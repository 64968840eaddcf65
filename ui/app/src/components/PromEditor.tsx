import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder as placeholderText } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { newCompleteStrategy, PromQLExtension, type CompleteStrategy } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { useTheme } from "../hooks/useTheme";

interface Props {
  value: string;
  onChange: (value: string) => void;
  onRun: () => void;
  placeholder?: string;
  autoFocus?: boolean;
  label: string;
}

/** Colours and sizes come from the page's variables, which reach into the shadow. */
const look = EditorView.theme({
  "&": { fontSize: "13.5px", color: "var(--text)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", fontVariantLigatures: "none", padding: "9px 0", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-placeholder": { color: "var(--text-faint)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, ::selection": {
    backgroundColor: "var(--selection) !important",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "1px solid var(--border-strong)" },
  ".cm-tooltip": {
    background: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--border-strong)",
    borderRadius: "8px",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontVariantLigatures: "none", fontSize: "12.5px", maxHeight: "20em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)", fontWeight: "600" },
  ".cm-completionDetail": { color: "var(--text-muted)", fontStyle: "normal", marginLeft: "10px" },
  ".cm-completionInfo": { padding: "6px 10px", maxWidth: "340px", fontSize: "12px" },
  ".cm-completionIcon": { width: "1em", opacity: "0.6" },
  ".cm-diagnostic": { padding: "6px 10px", fontSize: "12px", fontFamily: "var(--sans)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
});

const colors = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--syntax-keyword)" },
  { tag: [tags.function(tags.variableName), tags.operatorKeyword], color: "var(--syntax-function)" },
  { tag: tags.labelName, color: "var(--syntax-label)" },
  { tag: tags.string, color: "var(--syntax-string)" },
  { tag: tags.number, color: "var(--syntax-number)" },
  { tag: [tags.operator, tags.modifier], color: "var(--syntax-keyword)" },
  { tag: tags.comment, color: "var(--text-faint)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

/**
 * Completion from Belfry's metadata, which keeps quiet after a finished
 * expression: operators offered there unasked would make Enter insert the first
 * of them instead of running the query. Ctrl Space still offers them.
 */
function completeQuietly(): CompleteStrategy {
  const inner = newCompleteStrategy({ remote: { url: "", httpMethod: "GET", cache: { maxAge: 60_000 } } });
  return {
    async promQL(context: CompletionContext): Promise<CompletionResult | null> {
      const result = await inner.promQL(context);
      const finished = /[)\]}]\s*$/.test(context.state.sliceDoc(0, context.pos));
      return finished && !context.explicit ? null : result;
    },
    destroy: () => inner.destroy?.(),
  };
}

/**
 * A PromQL editor with completion from Belfry's own metadata. It lives in a
 * shadow root: there CodeMirror installs constructed style sheets, which a
 * content security policy without inline styles allows.
 */
export default function PromEditor({ value, onChange, onRun, placeholder = "", autoFocus, label }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const live = useRef({ onChange, onRun });
  const { dark } = useTheme();
  const mode = useRef(new Compartment());
  useEffect(() => {
    live.current = { onChange, onRun };
  });

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const promql = new PromQLExtension()
      .activateCompletion(true)
      .activateLinter(true)
      .setComplete({ completeStrategy: completeQuietly() });
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          EditorView.lineWrapping,
          placeholderText(placeholder),
          look,
          mode.current.of(EditorView.darkTheme.of(dark)),
          syntaxHighlighting(colors),
          promql.asExtension(),
          Prec.highest(
            keymap.of([
              {
                key: "Mod-Enter",
                run: (target) => {
                  closeCompletion(target);
                  live.current.onRun();
                  return true;
                },
              },
            ]),
          ),
          // Enter runs unless it picks a completion; Shift-Enter breaks the line.
          keymap.of([
            ...completionKeymap,
            {
              key: "Enter",
              run: () => {
                live.current.onRun();
                return true;
              },
              shift: (target) => {
                target.dispatch(target.state.replaceSelection("\n"));
                return true;
              },
            },
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...lintKeymap,
          ]),
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) live.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    if (autoFocus) editor.focus();
    return () => {
      editor.destroy();
      promql.destroy();
      view.current = null;
    };
    // The editor is built once; value and theme are followed below.
    // oxlint-disable-next-line react/exhaustive-deps
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    view.current?.dispatch({ effects: mode.current.reconfigure(EditorView.darkTheme.of(dark)) });
  }, [dark]);

  return <div className="editor-host" ref={host} />;
}
