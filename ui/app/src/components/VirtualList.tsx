import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
} from "react";
import { rowOffsets, windowOf } from "../lib/virtual";

interface Props<T> {
  items: T[];
  itemKey: (item: T, index: number) => string;
  render: (item: T, index: number) => ReactNode;
  /** The height of a row that has not been measured. */
  estimate: number;
  /** Rows all have the estimate's height: nothing is measured. */
  fixed?: boolean;
  className?: string;
  footer?: ReactNode;
  onNearEnd?: (() => void) | undefined;
  onKeyDown?: (event: KeyboardEvent) => void;
  label?: string;
  /** Scrolls this row into view when it changes; -1 for none. */
  reveal?: number;
  scroller?: RefObject<HTMLDivElement | null>;
}

/** Renders only the rows in view; rows may differ in height and change it. */
export function VirtualList<T>(props: Props<T>) {
  const { items, itemKey, render, estimate, fixed = false, onNearEnd, reveal = -1 } = props;
  const own = useRef<HTMLDivElement>(null);
  const scroller = props.scroller ?? own;
  const [view, setView] = useState({ top: 0, height: 800 });
  const heights = useRef(new Map<string, number>());
  const [measured, setMeasured] = useState(0);

  const offsets = useMemo(
    () =>
      rowOffsets(items.length, (i) => {
        const item = items[i];
        return fixed || item === undefined ? estimate : (heights.current.get(itemKey(item, i)) ?? estimate);
      }),
    // measured stands for the contents of heights
    // oxlint-disable-next-line react/exhaustive-deps
    [items, itemKey, estimate, fixed, measured],
  );
  const total = offsets[items.length] ?? 0;
  const [first, last] = windowOf(offsets, view.top, view.height, 240);

  const update = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    setView((before) =>
      before.top === element.scrollTop && before.height === element.clientHeight
        ? before
        : { top: element.scrollTop, height: element.clientHeight },
    );
  }, [scroller]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    update();
    element.addEventListener("scroll", update, { passive: true });
    const observer = new ResizeObserver(update);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", update);
      observer.disconnect();
    };
  }, [update, scroller]);

  useEffect(() => {
    if (onNearEnd && items.length > 0 && view.top > 0 && view.top + view.height > total - 400) onNearEnd();
  }, [onNearEnd, items.length, view, total]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || reveal < 0 || reveal >= items.length) return;
    const top = offsets[reveal] ?? 0;
    const bottom = offsets[reveal + 1] ?? top;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    // Only a new row to reveal scrolls; a re-measured list must not.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [reveal]);

  const onHeight = useCallback((key: string, height: number) => {
    if (heights.current.get(key) === height) return;
    heights.current.set(key, height);
    setMeasured((count) => count + 1);
  }, []);

  const shown: ReactNode[] = [];
  for (let i = first; i < last; i++) {
    const item = items[i];
    if (item === undefined) continue;
    const key = itemKey(item, i);
    shown.push(
      <Slot key={key} slotKey={key} top={offsets[i] ?? 0} fixed={fixed ? estimate : 0} onHeight={onHeight}>
        {render(item, i)}
      </Slot>,
    );
  }
  return (
    <div
      ref={scroller}
      className={`virtual ${props.className ?? ""}`}
      tabIndex={0}
      role="list"
      aria-label={props.label}
      onKeyDown={props.onKeyDown}
    >
      <div className="virtual-space" style={{ height: total }}>
        {shown}
      </div>
      {props.footer}
    </div>
  );
}

function Slot({
  slotKey,
  top,
  fixed,
  onHeight,
  children,
}: {
  slotKey: string;
  top: number;
  fixed: number;
  onHeight: (key: string, height: number) => void;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element || fixed) return;
    onHeight(slotKey, element.offsetHeight);
    const observer = new ResizeObserver(() => onHeight(slotKey, element.offsetHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, [slotKey, fixed, onHeight]);
  return (
    <div ref={ref} role="listitem" className="virtual-slot" style={{ top, ...(fixed ? { height: fixed } : {}) }}>
      {children}
    </div>
  );
}
