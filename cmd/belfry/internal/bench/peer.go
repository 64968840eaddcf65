package bench

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// Peer is another server, running already, that takes the same load.
type Peer struct {
	Kind string // what it speaks: victoriametrics, prometheus, victorialogs, victoriatraces, jaeger, tempo
	Base string // of its query API
	OTLP string // what the OTLP paths are appended to
	Dir  string // its data
	PID  int
}

// peerQueries are the questions of each kind of peer, equal to Belfry's own of
// the signal.
func peerQueries(kind, signalName string, g generator, o Options, batches int) ([]query, error) {
	if signalName == "metrics" {
		switch kind {
		case "victoriametrics":
			return g.metricQueries("/prometheus", o.Scrapes, url.Values{"nocache": {"1"}}), nil
		case "prometheus":
			return g.metricQueries("", o.Scrapes, nil), nil
		}
	}
	if signalName == "traces" {
		switch kind {
		case "tempo":
			return g.tempoQueries("", batches), nil
		case "jaeger":
			return g.jaegerQueries("", batches), nil
		case "victoriatraces":
			return g.jaegerQueries("/select/jaeger", batches), nil
		}
	}
	if kind != "victorialogs" || signalName != "logs" {
		return nil, fmt.Errorf("there are no questions for %s on a %q", signalName, kind)
	}
	from, to := g.eventRange(batches)
	ask := func(logsQL string) string {
		return "/select/logsql/query?" + url.Values{
			"query": {logsQL}, "start": {from.Format(time.RFC3339)}, "end": {to.Format(time.RFC3339)},
		}.Encode()
	}
	return []query{
		{name: "needle word, everything", url: ask(`nosuchneedleword`)},
		{name: "field equality count", url: ask(`http.response.status_code:=500 | stats by (_time:1m) count() hits`)},
		{name: "count per minute by service", url: ask(`* | stats by (_time:1m, service.name) count() hits`)},
		{name: "regex, everything", url: ask(`~"user [0-9]+7 " | stats by (_time:1m) count() hits`)},
		{name: "last 100 of a service", url: ask(`service.name:=cart | sort by (_time desc) limit 100`)},
	}, nil
}

func runPeer(ctx context.Context, o Options, s signal, start time.Time) error {
	var err error
	if s.queries, err = peerQueries(o.Peer.Kind, s.name, generator{seed: o.Seed, start: start}, o, s.batches); err != nil {
		return err
	}
	s.folder = ""
	fmt.Fprintf(o.Out, "%s on %s\n", s.name, o.Peer.Kind)
	return measure(ctx, o, s, Attach(o.Peer.Base, o.Peer.OTLP, o.Peer.Dir, o.Peer.PID))
}
