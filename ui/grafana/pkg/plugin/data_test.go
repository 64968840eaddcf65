package plugin

import (
	"fmt"
	"time"
)

// base is when the data of the tests begins.
var base = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

type object = map[string]any

func nano(d time.Duration) string { return fmt.Sprint(base.Add(d).UnixNano()) }

func attr(key string, value any) object {
	switch v := value.(type) {
	case int:
		return object{"key": key, "value": object{"intValue": fmt.Sprint(v)}}
	case bool:
		return object{"key": key, "value": object{"boolValue": v}}
	}
	return object{"key": key, "value": object{"stringValue": value}}
}

func resource(service, version string) object {
	return object{"attributes": []object{attr("service.name", service), attr("service.version", version)}}
}

const (
	firstTrace  = "0102030405060708090a0b0c0d0e0f10"
	secondTrace = "1112131415161718191a1b1c1d1e1f20"
)

// load sends half an hour of a small shop: two services, the second deployed anew
// in the middle.
func (s *server) load() error {
	for _, send := range []func() error{s.loadMetrics, s.loadLogs, s.loadTraces, s.loadIncident} {
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) loadMetrics() error {
	var resources []object
	for i, service := range []string{"cart", "checkout"} {
		for minute := 0; minute <= 30; minute++ {
			version := "1.0"
			if service == "checkout" && minute >= 15 {
				version = "1.1"
			}
			at := nano(time.Duration(minute) * time.Minute)
			var points []object
			for j, code := range []int{200, 500} {
				points = append(points, object{
					"startTimeUnixNano": nano(-time.Minute), "timeUnixNano": at, "asDouble": minute * (60 - 50*j) * (i + 1),
					"attributes": []object{attr("http.response.status_code", code)},
				})
			}
			metrics := []object{
				{"name": "http.requests", "sum": object{"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}},
				{"name": "http.server.request.duration", "unit": "s", "histogram": object{"aggregationTemporality": 2, "dataPoints": []object{{
					"startTimeUnixNano": nano(-time.Minute), "timeUnixNano": at, "count": fmt.Sprint(minute * 10), "sum": minute * 2,
					"bucketCounts":   []string{fmt.Sprint(minute * 6), fmt.Sprint(minute * 3), fmt.Sprint(minute)},
					"explicitBounds": []float64{0.1, 0.5},
					"exemplars":      exemplarsAt(minute),
				}}}},
			}
			if service == "checkout" {
				metrics = append(metrics, graphMetrics(minute)...)
			}
			resources = append(resources, object{"resource": resource(service, version), "scopeMetrics": []object{{"metrics": metrics}}})
		}
	}
	return s.post(s.otlp+"/v1/metrics", object{"resourceMetrics": resources})
}

func exemplarsAt(minute int) []object {
	if minute != 10 {
		return nil
	}
	return []object{{"timeUnixNano": nano(10 * time.Minute), "asDouble": 0.7, "traceId": firstTrace, "spanId": "0102030405060708"}}
}

// graphMetrics are what Belfry counts in spans, which it would at the present time.
func graphMetrics(minute int) []object {
	var out []object
	for i, name := range []string{
		"traces_service_graph_request", "traces_service_graph_request_failed", "traces_service_graph_request_server_seconds_sum",
		"traces_service_graph_request_server_seconds_count",
	} {
		scale := []float64{60, 6, 3, 60}[i]
		sum := object{"aggregationTemporality": 2, "isMonotonic": i < 2, "dataPoints": []object{{
			"startTimeUnixNano": nano(-time.Minute), "timeUnixNano": nano(time.Duration(minute) * time.Minute), "asDouble": scale * float64(minute),
			"attributes": []object{attr("client", "checkout"), attr("server", "cart")},
		}}}
		out = append(out, object{"name": name, "sum": sum})
	}
	spans := []object{}
	for i, status := range []string{"STATUS_CODE_UNSET", "STATUS_CODE_ERROR"} {
		spans = append(spans, object{
			"startTimeUnixNano": nano(-time.Minute), "timeUnixNano": nano(time.Duration(minute) * time.Minute), "asDouble": minute * (999 - 997*i),
			"attributes": []object{attr("service", "checkout"), attr("span_kind", "SPAN_KIND_SERVER"), attr("status_code", status)},
		})
	}
	return append(out, object{"name": "traces_spanmetrics_calls", "sum": object{"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": spans}})
}

func (s *server) loadLogs() error {
	var resources []object
	for _, service := range []string{"cart", "checkout"} {
		var records []object
		for i := range 10 {
			r := object{
				"timeUnixNano": nano(time.Duration(i) * time.Minute), "severityNumber": 9, "severityText": "INFO",
				"body":       object{"stringValue": fmt.Sprintf("request %d of %s took %dms", i, service, 10+i)},
				"attributes": []object{attr("http.route", "/"+service), attr("user.id", fmt.Sprint(i%3))},
			}
			if i == 5 {
				r["severityNumber"], r["severityText"] = 17, "ERROR"
				r["body"] = object{"stringValue": `payment "refused" by <bank>: card (declined)`}
				r["traceId"], r["spanId"] = firstTrace, "0102030405060708"
			}
			records = append(records, r)
		}
		// Two lines of one nanosecond, and the same line twice.
		for range 2 {
			records = append(records, object{"timeUnixNano": nano(12 * time.Minute), "severityNumber": 13, "severityText": "WARN", "body": object{"stringValue": "twice"}})
		}
		records = append(records, object{"timeUnixNano": nano(12 * time.Minute), "severityNumber": 9, "body": object{"stringValue": "the same nanosecond"}})
		resources = append(resources, object{"resource": resource(service, "1.0"), "scopeLogs": []object{{"logRecords": records}}})
	}
	return s.post(s.otlp+"/v1/logs", object{"resourceLogs": resources})
}

func (s *server) loadTraces() error {
	front := object{"resource": resource("checkout", "1.0"), "scopeSpans": []object{{
		"scope": object{"name": "shop", "version": "0.1"},
		"spans": []object{
			{
				"traceId": firstTrace, "spanId": "0102030405060708", "name": "POST /pay", "kind": 2,
				"startTimeUnixNano": nano(5 * time.Minute), "endTimeUnixNano": nano(5*time.Minute + 250*time.Millisecond),
				"attributes": []object{attr("http.response.status_code", 500), attr("retried", true)},
				"status":     object{"code": 2, "message": "refused"},
				"events": []object{{"timeUnixNano": nano(5*time.Minute + time.Millisecond), "name": "exception", "attributes": []object{
					attr("exception.type", "Refused"), attr("exception.stacktrace", "at pay.go:12\nat main.go:3"),
				}}},
				"links": []object{{"traceId": secondTrace, "spanId": "2122232425262728", "attributes": []object{attr("why", "retry")}}},
			},
			{
				"traceId": firstTrace, "spanId": "1102030405060708", "parentSpanId": "0102030405060708", "name": "GET cart", "kind": 3,
				"startTimeUnixNano": nano(5*time.Minute + 10*time.Millisecond), "endTimeUnixNano": nano(5*time.Minute + 60*time.Millisecond),
			},
			{
				"traceId": secondTrace, "spanId": "2122232425262728", "name": "POST /pay", "kind": 2,
				"startTimeUnixNano": nano(4 * time.Minute), "endTimeUnixNano": nano(4*time.Minute + 80*time.Millisecond),
				"attributes": []object{attr("http.response.status_code", 200)},
			},
		},
	}}}
	back := object{"resource": resource("cart", "1.0"), "scopeSpans": []object{{"spans": []object{{
		"traceId": firstTrace, "spanId": "3102030405060708", "parentSpanId": "1102030405060708", "name": "GET /cart", "kind": 2,
		"startTimeUnixNano": nano(5*time.Minute + 20*time.Millisecond), "endTimeUnixNano": nano(5*time.Minute + 50*time.Millisecond),
	}}}}}
	return s.post(s.otlp+"/v1/traces", object{"resourceSpans": []object{front, back}})
}

// loadIncident pages somebody, now.
func (s *server) loadIncident() error {
	return s.post(s.url+"/v2/enqueue", object{
		"routing_key": "shop-0123456789", "event_action": "trigger", "dedup_key": "shop/pay",
		"payload": object{"summary": "Payments are refused", "source": "shop", "severity": "critical", "component": "checkout"},
	})
}
