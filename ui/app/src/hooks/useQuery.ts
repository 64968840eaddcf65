import { useCallback, useEffect, useRef, useState } from "react";
import { isAbort } from "../api/http";

export interface QueryState<T> {
  data: T | null;
  error: Error | null;
  /** A request is under way; data may be that of the one before. */
  loading: boolean;
  refetch: () => void;
}

interface Held<T> {
  key: string | null;
  data: T | null;
  error: Error | null;
  loading: boolean;
}

/**
 * Runs a request whenever key changes and holds its result. A newer request
 * aborts the older. While one runs, data keeps the last result if scope (the
 * part of the key that names what is shown) is the same, so that a refresh
 * does not flicker. A null key asks nothing.
 */
export function useQuery<T>(
  key: string | null,
  run: (signal: AbortSignal) => Promise<T>,
  scope: string = "",
): QueryState<T> {
  const [held, setHeld] = useState<Held<T>>({ key: null, data: null, error: null, loading: false });
  const [turn, setTurn] = useState(0);
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    if (key === null) {
      setHeld({ key: null, data: null, error: null, loading: false });
      return;
    }
    const controller = new AbortController();
    setHeld((before) => ({
      key: scope,
      data: before.key === scope ? before.data : null,
      error: before.key === scope ? before.error : null,
      loading: true,
    }));
    latest.current(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setHeld({ key: scope, data, error: null, loading: false });
      },
      (cause: unknown) => {
        if (controller.signal.aborted || isAbort(cause)) return;
        const error = cause instanceof Error ? cause : new Error(String(cause));
        setHeld((before) => ({ key: scope, data: before.data, error, loading: false }));
      },
    );
    return () => controller.abort();
  }, [key, scope, turn]);
  const refetch = useCallback(() => setTurn((count) => count + 1), []);
  return { data: held.data, error: held.error, loading: held.loading, refetch };
}
