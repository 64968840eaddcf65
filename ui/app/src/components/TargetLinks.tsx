import type { Target } from "../lib/correlate";
import { Link } from "./basics";
import { Icon } from "./icons";

/** Buttons from an alert to what it is about. */
export function TargetLinks({ targets }: { targets: Target[] }) {
  return (
    <span className="target-links">
      {targets.map((target) => (
        <Link
          key={target.label}
          to={target.path}
          params={{ refresh: null, ...target.params }}
          className="button button-small button-plain"
        >
          <Icon name={target.kind} size={14} />
          {target.label}
        </Link>
      ))}
    </span>
  );
}
