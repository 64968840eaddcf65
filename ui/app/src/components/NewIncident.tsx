import { useState, type FormEvent } from "react";
import { createIncident, policies } from "../api/belfry";
import { useMe, usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { linkTo, navigate } from "../lib/router";
import { Button, Dialog, ErrorBox, Field } from "./basics";
import { Icon } from "./icons";

export const severities = ["critical", "error", "warning", "info"];

/** Opens an incident that a person has noticed; whom it pages is its policy's. */
export function NewIncident({ onClose }: { onClose: () => void }) {
  const { list } = usePeople();
  const [me] = useMe(list);
  const answer = useQuery("policies-once", policies);
  const [title, setTitle] = useState("");
  const [summary, setSummary] = useState("");
  const [severity, setSeverity] = useState("critical");
  const [policy, setPolicy] = useState("");
  const [fault, setFault] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const chosen = policy || (answer.data?.[0] ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    createIncident({ by: me, title, summary, severity, policy: chosen })
      .then((incident) => navigate(linkTo(`/incidents/${incident.id}`)))
      .catch((cause: unknown) => {
        setFault(cause instanceof Error ? cause : new Error(String(cause)));
        setBusy(false);
      });
  };
  return (
    <Dialog title="New incident" onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label="What is wrong">
          <input value={title} onChange={(event) => setTitle(event.target.value)} maxLength={250} autoFocus />
        </Field>
        <Field label="More about it">
          <textarea rows={3} value={summary} onChange={(event) => setSummary(event.target.value)} />
        </Field>
        <Field label="Severity">
          <Select value={severity} options={severities} onChange={setSeverity} />
        </Field>
        <Field label="Policy" hint="Its first step is told at once.">
          <Select value={chosen} options={answer.data ?? []} onChange={setPolicy} />
        </Field>
        {(fault ?? answer.error) && <ErrorBox error={(fault ?? answer.error) as Error} />}
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!title.trim() || !chosen || busy}>
            Page somebody
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function Select({ value, options, onChange, names }: { value: string; options: string[]; onChange: (value: string) => void; names?: (value: string) => string }) {
  return (
    <span className="select-wrap">
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map((option) => (
          <option key={option} value={option}>
            {names ? names(option) : option}
          </option>
        ))}
      </select>
      <Icon name="down" size={12} />
    </span>
  );
}
