import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { setTheme, useTheme, type ThemeChoice } from "../hooks/useTheme";
import { useStored } from "../hooks/useStored";
import { matchRoute, type PageName } from "../routes";
import { linkTo, navigate, usePath } from "../lib/router";
import { useTime } from "../hooks/useTime";
import { Button, Link } from "./basics";
import { Icon, type IconName } from "./icons";

const Palette = lazy(() => import("./Palette"));

export interface NavItem {
  path: string;
  label: string;
  icon: IconName;
  key: string;
  pages: PageName[];
}

export const navItems: NavItem[] = [
  { path: "/", label: "Overview", icon: "home", key: "h", pages: ["overview"] },
  { path: "/explore/metrics", label: "Metrics", icon: "metrics", key: "m", pages: ["metrics", "graph"] },
  { path: "/logs", label: "Logs", icon: "logs", key: "l", pages: ["logs"] },
  { path: "/traces", label: "Traces", icon: "traces", key: "t", pages: ["traces", "trace"] },
  { path: "/alerts", label: "Alerts", icon: "alerts", key: "a", pages: ["alerts"] },
  { path: "/incidents", label: "Incidents", icon: "incidents", key: "i", pages: ["incidents", "incident"] },
  { path: "/oncall", label: "On-call", icon: "oncall", key: "o", pages: ["oncall"] },
  { path: "/inbox", label: "Inbox", icon: "inbox", key: "b", pages: ["inbox"] },
];

const groups = [
  { title: "", from: 0, to: 1 },
  { title: "Explore", from: 1, to: 4 },
  { title: "Respond", from: 4, to: 8 },
];

/** Whether a key press is meant for what is being typed. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName))
  );
}

/** Side navigation, global keys and the palette around a page. */
export function Frame({ children }: { children: ReactNode }) {
  const path = usePath();
  const page = matchRoute(path)?.page;
  const [menuOpen, setMenuOpen] = useState(false);
  const [palette, setPalette] = useState(false);
  const [slim, setSlim] = useStored<"yes" | "no">("nav-slim", "no");
  const time = useTime();

  useEffect(() => {
    setMenuOpen(false);
  }, [path]);

  useEffect(() => {
    let leader = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette((open) => !open);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      if (document.querySelector("dialog[open]")) return;
      if (Date.now() - leader < 1200) {
        leader = 0;
        const item = navItems.find((one) => one.key === event.key);
        if (item) {
          event.preventDefault();
          navigate(linkTo(item.path));
        }
        return;
      }
      const { from, to } = time.interval;
      const shift = (by: number) => time.setRange({ from: String(Math.round(from + by)), to: String(Math.round(to + by)) });
      switch (event.key) {
        case "g":
          leader = Date.now();
          break;
        case "r":
          time.refreshNow();
          break;
        case "[":
          shift((from - to) / 2);
          break;
        case "]":
          shift((to - from) / 2);
          break;
        case "/": {
          const field = document.querySelector<HTMLElement>("[data-search]");
          if (field) {
            event.preventDefault();
            field.focus();
          }
          break;
        }
        case "?":
          setPalette(true);
          break;
        case "j":
        case "k": {
          // The page's list takes the keys from here on.
          const list = document.querySelector<HTMLElement>("main .virtual");
          if (list && !list.contains(document.activeElement)) list.focus();
          break;
        }
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [time]);

  return (
    <div className={`frame ${menuOpen ? "menu-open" : ""} ${slim === "yes" ? "nav-slim" : ""}`}>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="topbar">
        <Button kind="ghost" icon="menu" title="Menu" onClick={() => setMenuOpen(!menuOpen)} />
        <Brand />
        <Button kind="ghost" icon="search" title="Go to (Ctrl K)" onClick={() => setPalette(true)} />
      </header>
      <nav className="side" aria-label="Main">
        <Brand />
        <button type="button" className="goto" onClick={() => setPalette(true)} title="Go to (Ctrl K)">
          <Icon name="search" size={15} />
          <span>Go to…</span>
          <kbd>Ctrl K</kbd>
        </button>
        {groups.map((group) => (
          <div key={group.title} className="nav-group">
            {group.title && <h2>{group.title}</h2>}
            {navItems.slice(group.from, group.to).map((item) => (
              <Link
                key={item.path}
                to={item.path}
                title={`${item.label} (g ${item.key})`}
                className={page && item.pages.includes(page) ? "nav-item active" : "nav-item"}
              >
                <Icon name={item.icon} size={18} />
                <span>{item.label}</span>
              </Link>
            ))}
          </div>
        ))}
        <div className="side-foot">
          <ThemeSwitch />
          <Button
            kind="ghost"
            icon="chevron"
            className={slim === "yes" ? "" : "flip"}
            title={slim === "yes" ? "Widen navigation" : "Narrow navigation"}
            onClick={() => setSlim(slim === "yes" ? "no" : "yes")}
          />
        </div>
      </nav>
      {menuOpen && <button type="button" className="scrim" aria-label="Close menu" onClick={() => setMenuOpen(false)} />}
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      {palette && (
        <Suspense fallback={null}>
          <Palette onClose={() => setPalette(false)} />
        </Suspense>
      )}
    </div>
  );
}

function Brand() {
  return (
    <Link to="/" className="brand" title="Belfry">
      <img src="/favicon.svg" alt="" width="26" height="26" />
      <span>Belfry</span>
    </Link>
  );
}

const themes: { choice: ThemeChoice; icon: IconName; title: string }[] = [
  { choice: "system", icon: "system", title: "System theme" },
  { choice: "light", icon: "sun", title: "Light theme" },
  { choice: "dark", icon: "moon", title: "Dark theme" },
];

function ThemeSwitch() {
  const { choice } = useTheme();
  return (
    <div className="theme-switch" role="group" aria-label="Theme">
      {themes.map((theme) => (
        <button
          key={theme.choice}
          type="button"
          title={theme.title}
          aria-pressed={choice === theme.choice}
          className={choice === theme.choice ? "active" : ""}
          onClick={() => setTheme(theme.choice)}
        >
          <Icon name={theme.icon} size={15} />
        </button>
      ))}
    </div>
  );
}
