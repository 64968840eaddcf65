import { useState, type FormEvent } from "react";
import type { Person } from "../api/belfry";
import { addOverride, feedURL, offerSwap, overrides, removeOverride, swaps, takeSwap, withdrawSwap, type Swap } from "../api/oncall";
import { useMe } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { formatDateTime } from "../lib/time";
import { Button, CopyButton, Dialog, ErrorBox, Field, Tag } from "./basics";
import { Select } from "./NewIncident";

/** A time as an input of type datetime-local writes it, in the browser's zone. */
function localInput(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 16);
}

const span = (start: number, end: number) => `${formatDateTime(start).slice(0, 16)} to ${formatDateTime(end).slice(0, 16)}`;

/** What people change about a schedule: overrides, swaps, and the feed to subscribe to. */
export function ScheduleTools({ schedule, people, nameOf, to, onChange }: { schedule: string; people: Person[]; nameOf: (id: string) => string; to: number; onChange: () => void }) {
  const time = useTime();
  const [me] = useMe(people);
  const [asking, setAsking] = useState<"override" | "swap" | null>(null);
  const [fault, setFault] = useState<Error | null>(null);
  const offers = useQuery(timedKey(time, "swaps", schedule), (signal) => swaps(schedule, signal), schedule);
  const changed = useQuery(timedKey(time, "overrides", schedule, to), (signal) => overrides(schedule, time.now, to, signal), schedule);
  const done = (work: Promise<void>) =>
    work
      .then(() => {
        setAsking(null);
        setFault(null);
        offers.refetch();
        changed.refetch();
        onChange();
      })
      .catch((cause: unknown) => setFault(cause instanceof Error ? cause : new Error(String(cause))));
  return (
    <div className="schedule-tools">
      <div className="schedule-buttons">
        <Button small onClick={() => setAsking("override")}>
          Override
        </Button>
        <Button small onClick={() => setAsking("swap")}>
          Ask for a swap
        </Button>
        <CopyButton text={new URL(feedURL(schedule), location.href).href} label="Calendar feed" />
      </div>
      {fault && !asking && <ErrorBox error={fault} />}
      {(changed.data ?? [])
        .filter((one) => one.calendar === "")
        .map((one) => (
          <div key={one.id} className="schedule-item" data-testid="override">
            <Tag tone="info">override</Tag>
            <span>
              <b>{nameOf(one.person)}</b> {one.replaces && <>for {nameOf(one.replaces)}</>} {span(one.start, one.end)} <span className="muted">{one.reason}</span>
            </span>
            <Button small kind="ghost" icon="close" title="Remove the override" onClick={() => done(removeOverride(schedule, one.id))} />
          </div>
        ))}
      {(offers.data ?? [])
        .filter((swap) => swap.status === "open")
        .map((swap) => (
          <Offer key={swap.id} swap={swap} me={me} nameOf={nameOf} onTake={() => done(takeSwap(schedule, swap.id, me))} onWithdraw={() => done(withdrawSwap(schedule, swap.id))} />
        ))}
      {asking && (
        <TimeDialog
          kind={asking}
          people={people}
          me={me}
          fault={fault}
          onClose={() => {
            setAsking(null);
            setFault(null);
          }}
          onDone={(person, start, end, reason) =>
            done(asking === "override" ? addOverride(schedule, { by: me, person, start, end, reason }) : offerSwap(schedule, { person, start, end, reason }))
          }
        />
      )}
    </div>
  );
}

function Offer({ swap, me, nameOf, onTake, onWithdraw }: { swap: Swap; me: string; nameOf: (id: string) => string; onTake: () => void; onWithdraw: () => void }) {
  return (
    <div className="schedule-item" data-testid="swap">
      <Tag tone="warn">swap</Tag>
      <span>
        <b>{nameOf(swap.person)}</b> gives away {span(swap.start, swap.end)} <span className="muted">{swap.reason}</span>
      </span>
      {swap.person === me ? (
        <Button small onClick={onWithdraw}>
          Withdraw
        </Button>
      ) : (
        <Button small kind="primary" onClick={onTake}>
          Take it as {nameOf(me)}
        </Button>
      )}
    </div>
  );
}

function TimeDialog({
  kind,
  people,
  me,
  fault,
  onClose,
  onDone,
}: {
  kind: "override" | "swap";
  people: Person[];
  me: string;
  fault: Error | null;
  onClose: () => void;
  onDone: (person: string, start: string, end: string, reason: string) => void;
}) {
  const hour = 3_600_000;
  const soon = Math.ceil(Date.now() / hour) * hour;
  const [person, setPerson] = useState(me);
  const [start, setStart] = useState(localInput(soon));
  const [end, setEnd] = useState(localInput(soon + 8 * hour));
  const [reason, setReason] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone(person, new Date(start).toISOString(), new Date(end).toISOString(), reason.trim());
  };
  const valid = start !== "" && end !== "" && start < end;
  return (
    <Dialog title={kind === "override" ? "Override" : "Ask for a swap"} onClose={onClose}>
      <form className="form-grid" onSubmit={submit}>
        <Field label={kind === "override" ? "On call is" : "Who gives the time away"} hint={kind === "swap" ? "The others of the schedule are told; who takes it is on call then." : ""}>
          <Select value={person} options={people.map((one) => one.id)} onChange={setPerson} names={(id) => people.find((one) => one.id === id)?.name ?? id} />
        </Field>
        <Field label="From">
          <input type="datetime-local" value={start} onChange={(event) => setStart(event.target.value)} />
        </Field>
        <Field label="To">
          <input type="datetime-local" value={end} onChange={(event) => setEnd(event.target.value)} />
        </Field>
        <Field label="Why">
          <input value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
        {fault && <ErrorBox error={fault} />}
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={!valid || !person}>
            {kind === "override" ? "Put on call" : "Ask"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
