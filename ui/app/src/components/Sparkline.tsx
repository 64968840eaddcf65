/** A small line without axes, for a table cell. */
export function Sparkline({
  values,
  color = "var(--accent)",
  width = 110,
  height = 26,
}: {
  values: number[];
  color?: string;
  width?: number;
  height?: number;
}) {
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return <span className="muted">–</span>;
  const most = Math.max(...finite, 0);
  const least = Math.min(...finite, 0);
  const span = most - least || 1;
  const x = (i: number) => (i / (values.length - 1)) * (width - 2) + 1;
  const y = (value: number) => height - 2 - ((value - least) / span) * (height - 4);
  let path = "";
  let pen = false;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) {
      pen = false;
      return;
    }
    path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  return (
    <svg className="sparkline" width={width} height={height} aria-hidden="true">
      <path d={path} fill="none" stroke={color} strokeWidth="1.5" strokeLinejoin="round" />
    </svg>
  );
}
