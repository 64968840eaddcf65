import { useState } from "react";
import { inbox, markRead, type InboxMessage } from "../api/belfry";
import { Button, Card, Empty, ErrorBox, Link, PageHead, Progress, Skeleton, Tag } from "../components/basics";
import { Icon } from "../components/icons";
import { severityTone } from "../components/IncidentRow";
import { RefreshPicker } from "../components/TimePicker";
import { usePeople } from "../hooks/usePeople";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { setParams, useParam } from "../lib/router";
import { formatAgo, formatDateTime } from "../lib/time";

const pageSize = 100;

export default function InboxPage() {
  const time = useTime();
  const { list: everybody, nameOf } = usePeople();
  const recipient = useParam("to-person");
  const chosen = useParam("message");
  const answer = useQuery(
    timedKey(time, "inbox", recipient),
    (signal) => inbox({ recipient, cursor: "", limit: pageSize }, signal),
    recipient,
  );
  const [older, setOlder] = useState<{ base: unknown; items: InboxMessage[]; next: string } | null>(null);
  const [read, setRead] = useState<ReadonlySet<string>>(new Set());
  const [fault, setFault] = useState<Error | null>(null);
  const extra = older?.base === answer.data ? older : null;
  const messages = [...(answer.data?.items ?? []), ...(extra?.items ?? [])];
  const next = extra ? extra.next : (answer.data?.next ?? "");
  const current = messages.find((message) => message.id === chosen) ?? null;
  const isRead = (message: InboxMessage) => Number.isFinite(message.readAt) || read.has(message.id);

  const open = (message: InboxMessage) => {
    setParams({ message: message.id }, { replace: true });
    if (isRead(message)) return;
    setRead(new Set([...read, message.id]));
    markRead(message.id).catch((cause: unknown) => setFault(cause instanceof Error ? cause : new Error(String(cause))));
  };
  const loadOlder = () => {
    const base = answer.data;
    inbox({ recipient, cursor: next, limit: pageSize })
      .then((page) => setOlder({ base, items: [...(extra?.items ?? []), ...page.items], next: page.next }))
      .catch((cause: unknown) => setFault(cause instanceof Error ? cause : new Error(String(cause))));
  };

  return (
    <div className="page fill">
      <PageHead title="Inbox" note="What people were sent by the method “inbox”">
        <label className="check">
          To
          <span className="select-wrap">
            <select value={recipient} onChange={(event) => setParams({ "to-person": event.target.value, message: null })}>
              <option value="">everybody</option>
              {recipient && !everybody.some((person) => person.id === recipient) && <option value={recipient}>{recipient}</option>}
              {everybody.map((person) => (
                <option key={person.id} value={person.id}>
                  {person.name}
                </option>
              ))}
            </select>
            <Icon name="down" size={12} />
          </span>
        </label>
        <RefreshPicker />
      </PageHead>
      {fault && <ErrorBox error={fault} />}
      <div className="inbox">
        <Card className="inbox-list" flush>
          <Progress active={answer.loading} />
          {answer.error && (
            <div className="pad">
              <ErrorBox error={answer.error} onRetry={answer.refetch} />
            </div>
          )}
          {!answer.data && answer.loading && <Skeleton rows={6} />}
          {answer.data && messages.length === 0 && (
            <Empty icon="inbox" title="No messages">
              <p>When an escalation pages somebody whose contact method is the inbox, the message arrives here.</p>
            </Empty>
          )}
          <ul>
            {messages.map((message) => (
              <li key={message.id}>
                <button
                  type="button"
                  className={`inbox-item ${message.id === chosen ? "active" : ""} ${isRead(message) ? "" : "unread"}`}
                  onClick={() => open(message)}
                >
                  <span className={`inbox-mark tone-${message.kind === "resolved" ? "good" : severityTone(message.severity)}`} />
                  <span className="inbox-head">
                    <b>{nameOf(message.recipient)}</b>
                    <time title={formatDateTime(message.at)}>{formatAgo(message.at, time.now)}</time>
                  </span>
                  <span className="inbox-title">{message.title}</span>
                  <span className="inbox-preview">{message.body.replace(/\s+/g, " ").slice(0, 120)}</span>
                </button>
              </li>
            ))}
          </ul>
          {next && (
            <div className="logs-foot">
              <Button small onClick={loadOlder}>
                Load older messages
              </Button>
            </div>
          )}
        </Card>
        <Card className="inbox-message" flush>
          {current ? (
            <Message message={current} name={nameOf(current.recipient)} />
          ) : (
            <Empty icon="mail" title={messages.length > 0 ? "Choose a message" : "Nothing to read"} />
          )}
        </Card>
      </div>
    </div>
  );
}

function Message({ message, name }: { message: InboxMessage; name: string }) {
  return (
    <article className="message">
      <header>
        <h2>{message.title}</h2>
        <p className="muted">
          to <b>{name}</b>, {formatDateTime(message.at)}{" "}
          <Tag tone={message.kind === "resolved" ? "good" : severityTone(message.severity)}>
            {message.kind === "resolved" ? "resolved" : message.severity || message.kind}
          </Tag>
        </p>
      </header>
      <pre className="message-body">{message.body}</pre>
      <footer>
        {message.links.acknowledge && (
          <a href={message.links.acknowledge} target="_blank" rel="noreferrer" className="button button-primary">
            <Icon name="check" /> Acknowledge
          </a>
        )}
        {message.incidentId && (
          <Link to={`/incidents/${message.incidentId}`} className="button button-plain">
            <Icon name="incidents" /> Open incident
          </Link>
        )}
      </footer>
    </article>
  );
}
