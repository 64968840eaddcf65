import { useSyncExternalStore } from "react";
import { hrefTo, withParams, type ParamValues } from "./urlstate";

const listeners = new Set<() => void>();

function notify(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

/** Goes to an address of the app; replace leaves no step in the history. */
export function navigate(href: string, options: { replace?: boolean } = {}): void {
  const current = window.location.pathname + window.location.search;
  if (href === current) return;
  if (options.replace) window.history.replaceState(null, "", href);
  else window.history.pushState(null, "", href);
  notify();
}

/** Changes parameters of the present page. */
export function setParams(changes: ParamValues, options: { replace?: boolean } = {}): void {
  navigate(window.location.pathname + withParams(window.location.search, changes), options);
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => window.location.search);
}

export function useParam(key: string, fallback = ""): string {
  const search = useSearch();
  return new URLSearchParams(search).get(key) ?? fallback;
}

/** A link's address, with the time range carried over. */
export function linkTo(path: string, params: ParamValues = {}): string {
  return hrefTo(path, params, window.location.search);
}
