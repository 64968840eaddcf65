import { useCallback, useState } from "react";

/** State kept in this browser, for habits (an open panel), never for data. */
export function useStored<T extends string>(key: string, fallback: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => {
    try {
      return (localStorage.getItem(`belfry.${key}`) as T | null) ?? fallback;
    } catch {
      return fallback;
    }
  });
  const store = useCallback(
    (next: T) => {
      setValue(next);
      try {
        localStorage.setItem(`belfry.${key}`, next);
      } catch {
        // Storage may be forbidden; the value then lasts as long as the page.
      }
    },
    [key],
  );
  return [value, store];
}
