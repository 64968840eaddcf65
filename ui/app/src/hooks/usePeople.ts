import { useCallback } from "react";
import { people, type Person } from "../api/belfry";
import { useQuery } from "./useQuery";
import { useStored } from "./useStored";

/** Everybody Belfry knows, and a way from an id to a name. */
export function usePeople(): { list: Person[]; nameOf: (id: string) => string } {
  const known = useQuery("people", people);
  const list = known.data;
  const nameOf = useCallback((id: string) => list?.find((person) => person.id === id)?.name ?? id, [list]);
  return { list: list ?? [], nameOf };
}

/** Who uses this browser: the author of what is done to incidents. */
export function useMe(list: Person[]): [string, (id: string) => void] {
  const [me, setMe] = useStored<string>("me", "");
  return [me || (list[0]?.id ?? ""), setMe];
}
