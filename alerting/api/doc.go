// Package api is the HTTP API of incidents, on-call and escalation, below
// /api/belfry/v1/, and of events that page (PagerDuty Events v2, at /v2/enqueue).
// It is described by the OpenAPI document that it serves beside itself; a test
// holds the two together.
//
// Requests that change something carry JSON with Content-Type application/json,
// so that no page of another site can make a browser send them. Answers are JSON;
// faults are {"error": "...", "code": "..."} with the status of their kind. Lists
// are paged by keyset: next_cursor of one answer is the cursor of the next
// request.
//
// Acknowledge links work with a signed token instead: GET asks, POST does.
package api
