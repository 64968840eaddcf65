import { describe, expect, test } from "vitest";
import { asTraceId, attributeName, parseTags, toTraceQL } from "./traceql";

const empty = { service: "", operation: "", tags: "", minDuration: "", maxDuration: "", errorsOnly: false };

describe("toTraceQL", () => {
  test("an empty form asks for everything", () => expect(toTraceQL(empty)).toBe("{ }"));

  test("every field becomes a condition", () => {
    expect(
      toTraceQL({
        service: 'say "hi"',
        operation: "GET /",
        tags: 'http.response.status_code>=500 user.name="Ann Lee" resource.host.name=~a.* ok=true',
        minDuration: "100ms",
        maxDuration: "2s",
        errorsOnly: true,
      }),
    ).toBe(
      '{ resource.service.name = "say \\"hi\\"" && name = "GET /" && .http.response.status_code >= 500 && ' +
        '.user.name = "Ann Lee" && resource.host.name =~ "a.*" && .ok = true && duration >= 100ms && duration <= 2s && status = error }',
    );
  });

  test("quoting a number keeps it a string", () => {
    expect(toTraceQL({ ...empty, tags: 'zip="01234"' })).toBe('{ .zip = "01234" }');
  });
});

test("half-typed tags are left out", () => {
  expect(parseTags("a= b c=d")).toEqual([{ key: "a", operator: "=", value: "b" }, { key: "c", operator: "=", value: "d" }]);
  expect(parseTags("just words")).toEqual([]);
});

test.each([
  ["http.route", ".http.route"],
  ["span.http.route", "span.http.route"],
  ["resource.service.name", "resource.service.name"],
  ["event:name", "event:name"],
  ["my key", '."my key"'],
  ["span.my key", 'span."my key"'],
])("attributeName(%j)", (key, name) => expect(attributeName(key)).toBe(name));

test.each([
  ["0AF7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"],
  [" 8448eb211c80319c ", "8448eb211c80319c"],
  ["deadbeef", null],
  ["checkout", null],
])("asTraceId(%j)", (text, id) => expect(asTraceId(text)).toBe(id));
