import { useEffect, useMemo, useState, type KeyboardEvent } from "react";
import { services } from "../api/traces";
import { useQuery } from "../hooks/useQuery";
import { linkTo, navigate } from "../lib/router";
import { addStreamMatcher } from "../lib/logql";
import { asTraceId } from "../lib/traceql";
import { Dialog } from "./basics";
import { navItems } from "./frame";
import { Icon, type IconName } from "./icons";

interface Target {
  label: string;
  note: string;
  icon: IconName;
  href: string;
}

const shortcuts = [
  ["g then m, l, t, a, i, o, b, h", "go to a page"],
  ["/", "to the search field"],
  ["r", "refresh"],
  ["[ and ]", "earlier, later"],
  ["j and k", "next, previous row"],
];

/** Ctrl K: go to a page, a service's traces or logs, or a trace by its id. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const known = useQuery("services", services);

  const targets = useMemo<Target[]>(() => {
    const id = asTraceId(text);
    const all: Target[] = [
      ...(id ? [{ label: `Trace ${id}`, note: "open", icon: "traces" as const, href: linkTo(`/traces/${id}`) }] : []),
      ...navItems.map((item) => ({
        label: item.label,
        note: `g ${item.key}`,
        icon: item.icon,
        href: linkTo(item.path),
      })),
      ...(known.data ?? []).flatMap((service) => [
        { label: service, note: "traces", icon: "traces" as const, href: linkTo("/traces", { service }) },
        {
          label: service,
          note: "logs",
          icon: "logs" as const,
          href: linkTo("/logs", { q: addStreamMatcher("{}", "service_name", "=", service) }),
        },
      ]),
    ];
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (id || words.length === 0) return all.slice(0, 40);
    const found = all.filter(({ label, note }) => words.every((word) => `${label} ${note}`.toLowerCase().includes(word)));
    return [
      ...found.slice(0, 40),
      { label: `Logs with “${text.trim()}”`, note: "search", icon: "logs", href: linkTo("/logs", { q: text.trim() }) },
    ];
  }, [text, known.data]);

  useEffect(() => setChosen(0), [text]);

  const go = (target: Target | undefined) => {
    if (!target) return;
    onClose();
    navigate(target.href);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setChosen((at) => Math.min(at + 1, targets.length - 1));
    else if (event.key === "ArrowUp") setChosen((at) => Math.max(at - 1, 0));
    else if (event.key === "Enter") go(targets[chosen]);
    else return;
    event.preventDefault();
  };

  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        className="palette-input"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKey}
        placeholder="A page, a service, a trace id, or words to find in logs"
        aria-label="Go to"
        autoFocus
        spellCheck={false}
      />
      <ul className="palette-list">
        {targets.map((target, i) => (
          <li key={target.href + target.note}>
            <button
              type="button"
              className={i === chosen ? "active" : ""}
              onMouseMove={() => setChosen(i)}
              onClick={() => go(target)}
            >
              <Icon name={target.icon} />
              <span>{target.label}</span>
              <small>{target.note}</small>
            </button>
          </li>
        ))}
      </ul>
      <dl className="shortcuts">
        {shortcuts.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className="faint small palette-foot">
        <a href="/licenses.txt">Licenses of what this app is made of</a>
      </p>
    </Dialog>
  );
}
