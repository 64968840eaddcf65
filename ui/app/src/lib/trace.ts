import { asArray, asRecord, asString, type Json } from "./decode";

/** Times of spans are nanoseconds; start is relative to the trace's first start. */
export interface Attribute {
  key: string;
  value: string;
}

export interface SpanEvent {
  name: string;
  /** Nanoseconds after the trace's first start. */
  offset: number;
  attributes: Attribute[];
}

export interface SpanLink {
  traceId: string;
  spanId: string;
  attributes: Attribute[];
}

export interface Span {
  id: string;
  parentId: string;
  name: string;
  service: string;
  kind: string;
  start: number;
  duration: number;
  error: boolean;
  statusMessage: string;
  attributes: Attribute[];
  events: SpanEvent[];
  links: SpanLink[];
  resource: Attribute[];
  scope: string;
}

export interface Trace {
  id: string;
  /** The first span's start, epoch milliseconds. */
  startMs: number;
  /** Nanoseconds from the first start to the last end. */
  duration: number;
  spans: Span[];
}

const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];

function decodeKind(value: unknown): string {
  if (typeof value === "number") return kinds[value] ?? "unspecified";
  return asString(value).replace(/^SPAN_KIND_/, "").toLowerCase() || "unspecified";
}

function isError(status: Json): boolean {
  return status.code === 2 || status.code === "2" || status.code === "STATUS_CODE_ERROR";
}

/** Ids come as hex (OTLP's JSON) or base64 (protobuf's); bytes is their length. */
export function decodeId(value: unknown, bytes: 8 | 16): string {
  const text = asString(value);
  if (text === "") return "";
  if (/^[0-9a-fA-F]+$/.test(text) && text.length === bytes * 2) return text.toLowerCase();
  if (text.length === (bytes === 16 ? 24 : 12) && /^[A-Za-z0-9+/_-]+=*$/.test(text)) {
    try {
      const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
      return Array.from(raw, (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");
    } catch {
      return text;
    }
  }
  return text.toLowerCase();
}

/** OTLP's AnyValue as text; nested ones as JSON. */
export function decodeAnyValue(value: unknown): string {
  const plain = anyValue(value);
  return typeof plain === "object" && plain !== null ? JSON.stringify(plain) : String(plain ?? "");
}

function anyValue(value: unknown): unknown {
  const any = asRecord(value);
  if ("stringValue" in any) return any.stringValue;
  if ("intValue" in any) return asString(any.intValue);
  if ("doubleValue" in any) return any.doubleValue;
  if ("boolValue" in any) return any.boolValue;
  if ("bytesValue" in any) return any.bytesValue;
  if ("arrayValue" in any) return asArray(asRecord(any.arrayValue).values).map(anyValue);
  if ("kvlistValue" in any) {
    const entries = asArray(asRecord(any.kvlistValue).values).map(asRecord);
    return Object.fromEntries(entries.map((entry) => [asString(entry.key), anyValue(entry.value)]));
  }
  return "";
}

export function decodeAttributes(value: unknown): Attribute[] {
  return asArray(value).map((item) => {
    const entry = asRecord(item);
    return { key: asString(entry.key), value: decodeAnyValue(entry.value) };
  });
}

interface Raw {
  span: Json;
  service: string;
  resource: Attribute[];
  scope: string;
  start: bigint;
  end: bigint;
}

function asBigInt(value: unknown): bigint {
  try {
    return BigInt(asString(value) || "0");
  } catch {
    return 0n;
  }
}

/**
 * Decodes what Tempo's trace API answers: v2 ({trace: {resourceSpans}}), v1
 * ({batches}) or plain OTLP JSON.
 */
export function decodeTrace(id: string, answer: unknown): Trace {
  const outer = asRecord(answer);
  const body = "trace" in outer ? asRecord(outer.trace) : outer;
  const raws: Raw[] = [];
  for (const item of asArray(body.resourceSpans ?? body.batches)) {
    const batch = asRecord(item);
    const resource = decodeAttributes(asRecord(batch.resource).attributes);
    const service = resource.find((attribute) => attribute.key === "service.name")?.value || "unknown_service";
    for (const group of asArray(batch.scopeSpans ?? batch.instrumentationLibrarySpans).map(asRecord)) {
      const library = asRecord(group.scope ?? group.instrumentationLibrary);
      const scope = [asString(library.name), asString(library.version)].filter(Boolean).join(" ");
      for (const span of asArray(group.spans).map(asRecord)) {
        const start = asBigInt(span.startTimeUnixNano);
        raws.push({ span, service, resource, scope, start, end: asBigInt(span.endTimeUnixNano) });
      }
    }
  }
  const epoch = raws.reduce((least, raw) => (raw.start < least ? raw.start : least), raws[0]?.start ?? 0n);
  const spans = raws.map((raw) => decodeSpan(raw, epoch));
  const duration = spans.reduce((most, span) => Math.max(most, span.start + span.duration), 0);
  return { id, startMs: Number(epoch / 1000n) / 1000, duration, spans };
}

function decodeSpan({ span, service, resource, scope, start, end }: Raw, epoch: bigint): Span {
  const status = asRecord(span.status);
  return {
    id: decodeId(span.spanId, 8),
    parentId: decodeId(span.parentSpanId, 8).replace(/^0+$/, ""),
    name: asString(span.name),
    service,
    kind: decodeKind(span.kind),
    start: Number(start - epoch),
    duration: Math.max(0, Number(end - start)),
    error: isError(status),
    statusMessage: asString(status.message),
    attributes: decodeAttributes(span.attributes),
    events: asArray(span.events).map((item) => {
      const event = asRecord(item);
      return {
        name: asString(event.name),
        offset: Number(asBigInt(event.timeUnixNano) - epoch),
        attributes: decodeAttributes(event.attributes),
      };
    }),
    links: asArray(span.links).map((item) => {
      const link = asRecord(item);
      return {
        traceId: decodeId(link.traceId, 16),
        spanId: decodeId(link.spanId, 8),
        attributes: decodeAttributes(link.attributes),
      };
    }),
    resource,
    scope,
  };
}

/** Whether an event is an exception by the semantic conventions. */
export function isException(event: SpanEvent): boolean {
  return event.name === "exception";
}

export function attribute(list: Attribute[], key: string): string | undefined {
  return list.find((item) => item.key === key)?.value;
}

