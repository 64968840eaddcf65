import type { ReactNode } from "react";

/** Line icons on a 20 by 20 grid, drawn for Belfry. */
const shapes = {
  bell: <path d="M10 2.5v1.2M5 12.8V9a5 5 0 0 1 10 0v3.8l1.5 2.2h-13L5 12.8ZM8.2 15.2a1.9 1.9 0 0 0 3.6 0" />,
  home: <path d="M3 9.2 10 3.5l7 5.7M5 8v8.5h10V8M8.3 16.5v-4.8h3.4v4.8" />,
  metrics: <path d="M3 3v14h14M6 13l3.2-4 2.6 2.3L16.5 5.5" />,
  logs: <path d="M3.5 4.5h13M3.5 8.2h9M3.5 11.9h13M3.5 15.6h6.5" />,
  traces: <path d="M3 4.5h9M6 8.2h8M8.5 11.9h8M12 15.6h5" />,
  alerts: <path d="M10 3 2.5 16.5h15L10 3ZM10 8.3v3.7M10 14.2v.1" />,
  incidents: <path d="M11 2.5 4.5 11.2h5L8.5 17.5 15.5 8.5h-5L11 2.5Z" />,
  oncall: <path d="M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 16.5c.4-3.3 2.9-5 6-5s5.6 1.7 6 5" />,
  inbox: <path d="M3 11.5 5.2 4h9.6l2.2 7.5v4.5H3v-4.5ZM3 11.5h4.2c.3 1.5 1.4 2.3 2.8 2.3s2.5-.8 2.8-2.3H17" />,
  search: <path d="M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11ZM13 13l4 4" />,
  clock: <path d="M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 6.2V10l2.6 1.8" />,
  refresh: <path d="M16.5 10a6.5 6.5 0 1 1-1.9-4.6L16.5 7.3M16.5 3.2v4.1h-4.1" />,
  sun: <path d="M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10 1.8v1.7M10 16.5v1.7M1.8 10h1.7M16.5 10h1.7M4.2 4.2l1.2 1.2M14.6 14.6l1.2 1.2M4.2 15.8l1.2-1.2M14.6 5.4l1.2-1.2" />,
  moon: <path d="M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5Z" />,
  system: <path d="M3 4h14v9.5H3V4ZM7.5 16.8h5M10 13.5v3.3" />,
  chevron: <path d="m7.5 5 5 5-5 5" />,
  down: <path d="m5 7.5 5 5 5-5" />,
  close: <path d="m5 5 10 10M15 5 5 15" />,
  plus: <path d="M10 4v12M4 10h12" />,
  minus: <path d="M4 10h12" />,
  copy: <path d="M7.5 7.5h9v9h-9v-9ZM12.5 7.5v-4h-9v9h4" />,
  check: <path d="m4 10.5 4 4 8-9" />,
  link: <path d="M8.3 11.7a3.2 3.2 0 0 0 4.5 0l2.7-2.7A3.2 3.2 0 0 0 11 4.5l-1 1M11.7 8.3a3.2 3.2 0 0 0-4.5 0L4.5 11A3.2 3.2 0 0 0 9 15.5l1-1" />,
  filter: <path d="M3 4.5h14l-5.5 6.5v5l-3-1.5V11L3 4.5Z" />,
  filterOut: <path d="M3 4.5h14l-5.5 6.5v5l-3-1.5V11L3 4.5ZM2.5 17.5l15-15" />,
  eye: <path d="M2 10s3-5.5 8-5.5 8 5.5 8 5.5-3 5.5-8 5.5S2 10 2 10ZM10 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6Z" />,
  eyeOff: <path d="M4 6.5C2.7 8 2 10 2 10s3 5.5 8 5.5c1.2 0 2.3-.3 3.2-.8M8 4.7c.6-.1 1.3-.2 2-.2 5 0 8 5.5 8 5.5s-.6 1.1-1.7 2.4M3 3l14 14" />,
  error: <path d="M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15ZM10 6v4.8M10 13.7v.1" />,
  menu: <path d="M3 5.5h14M3 10h14M3 14.5h14" />,
  play: <path d="M6 4v12l10-6L6 4Z" />,
  list: <path d="M7 5h10M7 10h10M7 15h10M3.2 5h.1M3.2 10h.1M3.2 15h.1" />,
  mute: <path d="M5 12.8V9c0-.8.2-1.5.5-2.1M8 4.4A5 5 0 0 1 15 9v3.8l.6 1M13 15H3.5L5 12.8M8.2 15.2a1.9 1.9 0 0 0 3.6 0M3 3l14 14" />,
  help: <path d="M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15ZM7.9 8a2.1 2.1 0 1 1 3 1.9c-.6.3-.9.7-.9 1.4M10 13.7v.1" />,
  wrap: <path d="M3 5h14M3 10h11a2.5 2.5 0 0 1 0 5h-3M12.8 13 10.8 15l2 2M3 15h4" />,
  mail: <path d="M3 5h14v10.5H3V5ZM3 5.5l7 5.5 7-5.5" />,
  note: <path d="M4 3.5h12v9l-4 4H4v-13ZM12 16.5v-4h4M7 7.5h6M7 10.5h3" />,
} as const satisfies Record<string, ReactNode>;

export type IconName = keyof typeof shapes;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {shapes[name]}
    </svg>
  );
}
