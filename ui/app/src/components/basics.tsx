import { Fragment, useEffect, useRef, useState, type ButtonHTMLAttributes, type MouseEvent, type ReactNode } from "react";
import { linkTo, navigate } from "../lib/router";
import type { ParamValues } from "../lib/urlstate";
import { Icon, type IconName } from "./icons";

type ButtonKind = "plain" | "primary" | "ghost" | "danger";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: ButtonKind;
  icon?: IconName;
  small?: boolean;
}

export function Button({ kind = "plain", icon, small, children, className = "", ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`button button-${kind} ${small ? "button-small" : ""} ${children ? "" : "button-icon"} ${className}`}
      {...rest}
    >
      {icon && <Icon name={icon} size={small ? 14 : 16} />}
      {children}
    </button>
  );
}

interface LinkProps {
  /** A path of the app; the time range is carried along. */
  to: string;
  params?: ParamValues;
  className?: string;
  title?: string;
  children: ReactNode;
  onClick?: () => void;
}

/** A link inside the app: a real one, so that opening in a new tab works. */
export function Link({ to, params, className, title, children, onClick }: LinkProps) {
  const href = linkTo(to, params);
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onClick?.();
    navigate(href);
  };
  return (
    <a href={href} className={className} title={title} onClick={follow}>
      {children}
    </a>
  );
}

export type Tone = "neutral" | "accent" | "good" | "warn" | "bad" | "info";

export function Tag({ tone = "neutral", children, title }: { tone?: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`tag tag-${tone}`} title={title}>
      {children}
    </span>
  );
}

export function LabelTags({ labels, except = [] }: { labels: Record<string, string>; except?: string[] }) {
  const keys = Object.keys(labels).filter((key) => !except.includes(key)).sort();
  return (
    <span className="label-tags">
      {keys.map((key) => (
        <span key={key} className="label-tag" title={`${key}="${labels[key]}"`}>
          <span className="label-key">{key}</span>
          <span className="label-value">{labels[key]}</span>
        </span>
      ))}
    </span>
  );
}

/** A dotted or underscored name that may break after its parts and not inside them. */
export function Breakable({ text }: { text: string }) {
  const parts = text.split(/(?<=[._/:-])/);
  return parts.map((part, i) => (
    // Parts have no identity but their place.
    // oxlint-disable-next-line react/no-array-index-key
    <Fragment key={i}>
      {i > 0 && <wbr />}
      {part}
    </Fragment>
  ));
}

export function Dot({ color }: { color: string }) {
  return <span className="dot" style={{ background: color }} />;
}

export function Card({
  title,
  actions,
  children,
  className = "",
  flush,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  /** No padding: the content reaches the edges. */
  flush?: boolean;
}) {
  return (
    <section className={`card ${className}`}>
      {(title || actions) && (
        <header className="card-head">
          <h2>{title}</h2>
          <div className="card-actions">{actions}</div>
        </header>
      )}
      <div className={flush ? "card-body flush" : "card-body"}>{children}</div>
    </section>
  );
}

export function PageHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div className="page-title">
        <h1>{title}</h1>
        {note && <p>{note}</p>}
      </div>
      <div className="page-actions">{children}</div>
    </header>
  );
}

/** Says what is not there and what to do about it. */
export function Empty({ icon = "search", title, children }: { icon?: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} size={22} />
      </span>
      <h3>{title}</h3>
      {children && <div className="empty-text">{children}</div>}
    </div>
  );
}

export function ErrorBox({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  return (
    <div className="error-box" role="alert">
      <Icon name="error" />
      <pre>{error.message}</pre>
      {onRetry && (
        <Button small onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Skeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div className="skeleton" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className={`skeleton-row skeleton-${i % 4}`} />
      ))}
    </div>
  );
}

/** A hair line under a panel's head that moves while something loads. */
export function Progress({ active }: { active: boolean }) {
  return <div className={active ? "progress active" : "progress"} role="progressbar" aria-hidden={!active} />;
}

export interface TabItem<T extends string> {
  id: T;
  label: string;
  count?: number | undefined;
}

export function Tabs<T extends string>({
  items,
  value,
  onChange,
}: {
  items: TabItem<T>[];
  value: T;
  onChange: (id: T) => void;
}) {
  return (
    <div className="tabs" role="tablist">
      {items.map((item) => (
        <button
          key={item.id}
          type="button"
          role="tab"
          aria-selected={item.id === value}
          className={item.id === value ? "tab active" : "tab"}
          onClick={() => onChange(item.id)}
        >
          {item.label}
          {item.count !== undefined && <span className="tab-count">{item.count}</span>}
        </button>
      ))}
    </div>
  );
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 1200);
    return () => window.clearTimeout(timer);
  }, [copied]);
  const copy = () => {
    // Only pages from https or loopback may write to the clipboard.
    navigator.clipboard?.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <Button kind="ghost" small icon={copied ? "check" : "copy"} title={`Copy ${label ?? text}`} onClick={copy}>
      {label}
    </Button>
  );
}

/** A dialog in the browser's top layer: focus stays inside, Escape closes. */
export function Dialog({
  title,
  onClose,
  children,
  wide,
}: {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
  }, []);
  const onBackdrop = (event: MouseEvent) => {
    if (event.target === ref.current) onClose();
  };
  return (
    <dialog ref={ref} className={wide ? "dialog wide" : "dialog"} onClose={onClose} onMouseDown={onBackdrop}>
      <header className="dialog-head">
        <h2>{title}</h2>
        <Button kind="ghost" icon="close" title="Close (Esc)" onClick={onClose} />
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    <label className="field">
      <span className="field-label">{label}</span>
      {children}
      {hint && <span className="field-hint">{hint}</span>}
    </label>
  );
}
