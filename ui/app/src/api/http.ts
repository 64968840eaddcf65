import { asArray, asRecord, asString } from "../lib/decode";

/** A request that did not succeed, with the server's own words where it had any. */
export class ApiError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export type Params = Record<string, string | number | boolean | string[] | null | undefined>;

export interface RequestOptions {
  params?: Params;
  method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Sent as JSON. */
  body?: unknown;
  /** Sends params as a form in the body: queries outgrow addresses. */
  form?: boolean;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Asks Belfry and returns the decoded JSON, null for an empty answer. */
export async function request(path: string, options: RequestOptions = {}): Promise<unknown> {
  const search = encodeParams(options.params ?? {});
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  let url = path;
  let body: BodyInit | null = null;
  if (options.form) body = search;
  else if (search.size > 0) url += `?${search}`;
  if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: options.method ?? (body === null ? "GET" : "POST"),
      headers,
      body,
      signal: options.signal ?? null,
    });
    text = await response.text();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError("Belfry did not answer. Is it running?", 0);
  }
  if (!response.ok) throw new ApiError(errorMessage(text, response.status), response.status);
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(`${path} answered with something other than JSON`, response.status);
  }
}

export function encodeParams(params: Params): URLSearchParams {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    for (const item of Array.isArray(value) ? value : [String(value)]) search.append(key, item);
  }
  return search;
}

/** Finds the reason in an error's body, whichever API's form it has. */
export function errorMessage(text: string, status: number): string {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "string" && body) return body;
    const fields = asRecord(body);
    for (const key of ["error", "message", "detail", "msg"]) {
      const value = fields[key];
      if (typeof value === "string" && value) return value;
      const nested = asString(asRecord(value).message) || asString(asRecord(value).msg);
      if (nested) return nested;
    }
    const first = asArray(fields.errors)[0];
    const nested = asString(first) || asString(asRecord(first).msg) || asString(asRecord(first).message);
    if (nested) return nested;
  } catch {
    const plain = text.trim();
    if (plain && !plain.startsWith("<")) return plain.slice(0, 600);
  }
  return `Request failed with status ${status}`;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
