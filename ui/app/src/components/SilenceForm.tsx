import { useState, type FormEvent } from "react";
import { createSilence, formatMatcher, parseMatcher, type ActiveAlert, type Matcher } from "../api/alertmanager";
import { plural, type Labels } from "../lib/format";
import { formatDateTime, parseDuration } from "../lib/time";
import { useStored } from "../hooks/useStored";
import { Button, Dialog, ErrorBox, Field } from "./basics";

const durations = ["30m", "1h", "2h", "4h", "8h", "1d", "7d"];

function matches(labels: Labels, matcher: Matcher): boolean {
  const value = labels[matcher.name] ?? "";
  let hit = value === matcher.value;
  if (matcher.isRegex) {
    try {
      hit = new RegExp(`^(?:${matcher.value})$`).test(value);
    } catch {
      hit = false;
    }
  }
  return hit === matcher.isEqual;
}

/** Creates a silence and says beforehand which alerts it would mute. */
export function SilenceForm({
  labels,
  alerts,
  onClose,
  onDone,
}: {
  /** Proposed as matchers. */
  labels: Labels;
  alerts: ActiveAlert[];
  onClose: () => void;
  onDone: () => void;
}) {
  const [text, setText] = useState(() =>
    Object.entries(labels)
      .map(([name, value]) => formatMatcher({ name, value, isRegex: false, isEqual: true }))
      .join("\n"),
  );
  const [duration, setDuration] = useState("2h");
  const [author, setAuthor] = useStored<string>("author", "");
  const [comment, setComment] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);

  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const parsed = lines.map(parseMatcher);
  const matchers = parsed.filter((matcher) => matcher !== null);
  const broken = lines.find((_, i) => parsed[i] === null);
  const length = parseDuration(duration);
  const muted = matchers.length > 0 ? alerts.filter((alert) => matchers.every((matcher) => matches(alert.labels, matcher))) : [];
  const ready = !broken && matchers.length > 0 && length !== null && length > 0 && author.trim() !== "" && comment.trim() !== "";

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!ready || length === null) return;
    setBusy(true);
    const now = Date.now();
    createSilence({ matchers, startsAt: now, endsAt: now + length, createdBy: author.trim(), comment: comment.trim() })
      .then(onDone)
      .catch((cause: unknown) => {
        setError(cause instanceof Error ? cause : new Error(String(cause)));
        setBusy(false);
      });
  };

  return (
    <Dialog title="Silence alerts" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="Matchers, one a line" hint='severity="warning", service_name=~"cart|checkout", team!="data"'>
          <textarea
            className="mono"
            rows={Math.max(3, lines.length + 1)}
            value={text}
            onChange={(event) => setText(event.target.value)}
            spellCheck={false}
            autoFocus
          />
        </Field>
        <Field label="For" hint={length ? `until ${formatDateTime(Date.now() + length)}` : "a duration such as 90m"}>
          <span className="duration-choice">
            <input value={duration} onChange={(event) => setDuration(event.target.value)} />
            {durations.map((choice) => (
              <Button key={choice} small aria-pressed={choice === duration} onClick={() => setDuration(choice)}>
                {choice}
              </Button>
            ))}
          </span>
        </Field>
        <Field label="Your name">
          <input value={author} onChange={(event) => setAuthor(event.target.value)} autoComplete="name" />
        </Field>
        <Field label="Why">
          <input value={comment} onChange={(event) => setComment(event.target.value)} placeholder="Deploying 1.4, expected until noon" />
        </Field>
        <p className={broken ? "form-fault" : "muted small"}>
          {broken
            ? `Not a matcher: ${broken}`
            : matchers.length === 0
              ? "A silence needs a matcher"
              : `Mutes ${plural(muted.length, "alert")} that ${muted.length === 1 ? "is" : "are"} active now, and all like them.`}
        </p>
        {error && <ErrorBox error={error} />}
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" icon="mute" type="submit" disabled={!ready || busy}>
            Silence
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
