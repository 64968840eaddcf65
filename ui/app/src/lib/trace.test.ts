import { describe, expect, test } from "vitest";
import { decodeAnyValue, decodeId, decodeTrace } from "./trace";

const span = (more: object) => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  name: "GET /",
  kind: 2,
  startTimeUnixNano: "1700000000000000500",
  endTimeUnixNano: "1700000000002000500",
  ...more,
});

const batch = (spans: object[]) => ({
  resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
  scopeSpans: [{ scope: { name: "lib", version: "1.2" }, spans }],
});

describe("decodeTrace", () => {
  test("reads OTLP JSON with hex ids and numbers for enums", () => {
    const trace = decodeTrace("t", { trace: { resourceSpans: [batch([span({ status: { code: 2, message: "no" } })])] } });
    expect(trace.duration).toBe(2_000_000);
    expect(trace.spans[0]).toMatchObject({
      id: "b7ad6b7169203331",
      parentId: "",
      service: "shop",
      kind: "server",
      start: 0,
      duration: 2_000_000,
      error: true,
      statusMessage: "no",
      scope: "lib 1.2",
    });
  });

  test("reads protobuf's JSON: batches, base64 ids and names for enums", () => {
    const trace = decodeTrace("t", {
      batches: [
        batch([
          span({ spanId: "t61rcWkgMzE=", parentSpanId: "AAAAAAAAAAA=", kind: "SPAN_KIND_CLIENT", status: { code: "STATUS_CODE_ERROR" } }),
        ]),
      ],
    });
    expect(trace.spans[0]).toMatchObject({ id: "b7ad6b7169203331", parentId: "", kind: "client", error: true });
  });

  test("times keep their nanoseconds relative to the first start", () => {
    const trace = decodeTrace("t", {
      resourceSpans: [
        batch([
          span({ startTimeUnixNano: "1700000000000000777", events: [{ name: "exception", timeUnixNano: "1700000000000000900" }] }),
          span({ spanId: "1111111111111111", startTimeUnixNano: "1700000000000000500" }),
        ]),
      ],
    });
    expect(trace.spans.map((one) => one.start)).toEqual([277, 0]);
    expect(trace.spans[0]?.events[0]?.offset).toBe(400);
  });

  test("a span that ends before it starts has no length, garbage no spans", () => {
    const trace = decodeTrace("t", { resourceSpans: [batch([span({ endTimeUnixNano: "5" })])] });
    expect(trace.spans[0]?.duration).toBe(0);
    for (const garbage of [null, [], "x", { trace: 1 }, { resourceSpans: [{ scopeSpans: {} }] }]) {
      expect(decodeTrace("t", garbage).spans).toEqual([]);
    }
  });
});

test.each([
  ["B7AD6B7169203331", 8, "b7ad6b7169203331"],
  ["t61rcWkgMzE=", 8, "b7ad6b7169203331"],
  ["CvdlGRbNQ92ESOshHIAxnA==", 16, "0af7651916cd43dd8448eb211c80319c"],
  ["", 8, ""],
] as const)("decodeId(%j)", (text, bytes, id) => expect(decodeId(text, bytes)).toBe(id));

test.each([
  [{ stringValue: "a" }, "a"],
  [{ intValue: "9007199254740993" }, "9007199254740993"],
  [{ boolValue: false }, "false"],
  [{ doubleValue: 0.5 }, "0.5"],
  [{ arrayValue: { values: [{ intValue: "1" }, { stringValue: "b" }] } }, '["1","b"]'],
  [{ kvlistValue: { values: [{ key: "k", value: { boolValue: true } }] } }, '{"k":true}'],
  [{}, ""],
])("decodeAnyValue %#", (value, text) => expect(decodeAnyValue(value)).toBe(text));
