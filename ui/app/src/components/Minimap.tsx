import { useEffect, useRef, useState, type PointerEvent } from "react";
import { useSize } from "../hooks/useSize";
import { useTheme } from "../hooks/useTheme";
import type { Row } from "../lib/waterfall";

const height = 54;

/** The whole trace at a glance; dragging selects the stretch that the waterfall shows. */
export function Minimap({
  rows,
  duration,
  colors,
  window: shown,
  onWindow,
}: {
  rows: Row[];
  duration: number;
  colors: Map<string, string>;
  window: [number, number];
  onWindow: (window: [number, number]) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width } = useSize(host);
  const { dark } = useTheme();
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);

  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    const ratio = window.devicePixelRatio;
    element.width = width * ratio;
    element.height = height * ratio;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    const tall = Math.max(1, Math.min(5, (height - 6) / Math.max(1, rows.length)));
    rows.forEach(({ span }, i) => {
      context.fillStyle = span.error ? (dark ? "#f2707a" : "#cf2f3c") : (colors.get(span.service) ?? "#888");
      const x = (span.start / duration) * width;
      const y = 3 + (i / Math.max(1, rows.length)) * (height - 6);
      context.fillRect(x, y, Math.max(1, (span.duration / duration) * width), tall);
    });
  }, [rows, duration, colors, width, dark]);

  const xOf = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const percent = (nanos: number) => `${(nanos / duration) * 100}%`;
  return (
    <div
      className="minimap"
      ref={host}
      title="Drag to look closer, double click for all"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: xOf(event), to: xOf(event) });
      }}
      onPointerMove={(event) => drag && setDrag({ ...drag, to: xOf(event) })}
      onPointerUp={() => {
        if (drag && Math.abs(drag.to - drag.from) > 4) {
          const clamp = (x: number) => Math.min(1, Math.max(0, x / width)) * duration;
          onWindow([clamp(Math.min(drag.from, drag.to)), clamp(Math.max(drag.from, drag.to))]);
        }
        setDrag(null);
      }}
      onDoubleClick={() => onWindow([0, duration])}
    >
      <canvas ref={canvas} style={{ width, height }} />
      <span className="minimap-shade" style={{ left: 0, width: percent(shown[0]) }} />
      <span className="minimap-shade" style={{ left: percent(shown[1]), right: 0 }} />
      {drag && (
        <span className="minimap-drag" style={{ left: Math.min(drag.from, drag.to), width: Math.abs(drag.to - drag.from) }} />
      )}
    </div>
  );
}
