import { useEffect, useRef, useState, type FormEvent } from "react";
import { useTime } from "../hooks/useTime";
import { formatDateTime, formatRange, isRelative, parseTime, relativeRanges, type TimeRange } from "../lib/time";
import { Button, Field } from "./basics";
import { Icon } from "./icons";

const refreshChoices = ["off", "5s", "10s", "30s", "1m", "5m"];

/** Range, shift, zoom and refresh; all of it lives in the address. */
export function TimePicker() {
  const time = useTime();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !root.current?.contains(event.target as Node)) {
        setOpen(false);
      }
    };
    document.addEventListener("mousedown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("mousedown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);

  const { interval, range } = time;
  const width = interval.to - interval.from;
  const goTo = (from: number, to: number) => time.setRange({ from: String(Math.round(from)), to: String(Math.round(to)) });

  return (
    <div className="time-picker" ref={root}>
      <div className="button-group">
        <Button icon="chevron" className="flip" title="Earlier ([)" onClick={() => goTo(interval.from - width / 2, interval.to - width / 2)} />
        <Button
          icon="clock"
          className="time-current"
          aria-haspopup="dialog"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {formatRange(range)}
        </Button>
        <Button
          icon="chevron"
          title="Later (])"
          disabled={isRelative(range)}
          onClick={() => goTo(interval.from + width / 2, interval.to + width / 2)}
        />
        <Button icon="minus" title="Twice the time" onClick={() => goTo(interval.from - width / 2, interval.to + width / 2)} />
      </div>
      <RefreshPicker />
      {open && (
        <RangeMenu
          onPick={(picked) => {
            time.setRange(picked);
            setOpen(false);
          }}
        />
      )}
    </div>
  );
}

/** Refresh alone, for pages that show the present whatever the range. */
export function RefreshPicker() {
  const time = useTime();
  return (
    <div className="button-group">
      <Button icon="refresh" title="Refresh (r)" onClick={time.refreshNow} />
      <label className="select-wrap" title="Refresh by itself">
        <select value={time.refresh} onChange={(event) => time.setRefresh(event.target.value)} aria-label="Auto refresh">
          {!refreshChoices.includes(time.refresh) && <option>{time.refresh}</option>}
          {refreshChoices.map((choice) => (
            <option key={choice} value={choice}>
              {choice === "off" ? "Off" : choice}
            </option>
          ))}
        </select>
        <Icon name="down" size={12} />
      </label>
    </div>
  );
}

const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();

function RangeMenu({ onPick }: { onPick: (range: TimeRange) => void }) {
  const { interval, range } = useTime();
  const [from, setFrom] = useState(() => (range.from.startsWith("now") ? range.from : formatDateTime(interval.from)));
  const [to, setTo] = useState(() => (range.to.startsWith("now") ? range.to : formatDateTime(interval.to)));
  const now = Date.now();
  const start = parseTime(from, now);
  const end = parseTime(to, now);
  const fault =
    start === null || end === null ? "Use now-1h or 2026-01-31 12:00:00" : start >= end ? "The start is not before the end" : "";

  const apply = (event: FormEvent) => {
    event.preventDefault();
    if (fault || start === null || end === null) return;
    const text = (value: string, ms: number) => (value.trim().startsWith("now") ? value.trim() : String(ms));
    onPick({ from: text(from, start), to: text(to, end) });
  };

  return (
    <div className="popover time-menu" role="dialog" aria-label="Time range">
      <form onSubmit={apply}>
        <Field label="From">
          <input value={from} onChange={(event) => setFrom(event.target.value)} spellCheck={false} />
        </Field>
        <Field label="To">
          <input value={to} onChange={(event) => setTo(event.target.value)} spellCheck={false} />
        </Field>
        <p className="form-fault">{fault}</p>
        <Button kind="primary" type="submit" disabled={fault !== ""}>
          Apply
        </Button>
        <p className="faint small">Times are those of {timeZone}.</p>
      </form>
      <ul>
        {relativeRanges.map((choice) => (
          <li key={choice.from}>
            <button
              type="button"
              className={choice.from === range.from && range.to === "now" ? "active" : ""}
              onClick={() => onPick({ from: choice.from, to: "now" })}
            >
              {choice.label}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
