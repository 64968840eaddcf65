package api

import (
	"errors"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/common/model"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"belfry/internal/fault"
)

// compatibleVersion is the Prometheus whose API and query language this is.
// Clients, Grafana above all, switch features on and off by it.
const compatibleVersion = "3.14.0"

func (a *API) buildInfo() *v1.PrometheusVersion {
	return &v1.PrometheusVersion{
		Version:   compatibleVersion,
		Revision:  a.o.Revision,
		Branch:    "belfry-" + a.o.Version,
		BuildUser: "belfry",
		BuildDate: a.o.BuildDate,
		GoVersion: runtime.Version(),
	}
}

// MimirBuildInfo answers /api/v1/status/buildinfo as Mimir does: Grafana edits
// rules only where it finds that name and that feature. The rest of what it does
// with a Mimir is Prometheus' API.
func (a *API) MimirBuildInfo(w http.ResponseWriter, _ *http.Request) {
	respond(w, struct {
		*v1.PrometheusVersion
		Application string            `json:"application"`
		Features    map[string]string `json:"features"`
	}{a.buildInfo(), "Grafana Mimir", map[string]string{
		"ruler_config_api": "true", "alertmanager_config_api": "false", "query_sharding": "false", "federated_rules": "false",
	}})
}

func (a *API) runtimeInfo() (v1.RuntimeInfo, error) {
	info := v1.RuntimeInfo{
		StartTime:           a.o.StartTime,
		ServerTime:          a.o.Now(),
		ReloadConfigSuccess: true,
		LastConfigTime:      a.o.StartTime,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		GOMEMLIMIT:          debug.SetMemoryLimit(-1),
		GOGC:                os.Getenv("GOGC"),
		GODEBUG:             os.Getenv("GODEBUG"),
		StorageRetention:    a.retention(),
	}
	var errHost, errDir error
	info.Hostname, errHost = os.Hostname()
	info.CWD, errDir = os.Getwd()
	return info, errors.Join(errHost, errDir)
}

func (a *API) retention() string {
	r := a.o.Config.Retention
	switch {
	case r.Time > 0 && r.Size > 0:
		return model.Duration(time.Duration(r.Time)).String() + " or " + r.Size.String()
	case r.Size > 0:
		return r.Size.String()
	case r.Time > 0:
		return r.Time.String()
	}
	return "unlimited"
}

// overrideCode gives errors that know their kind their own status. It is
// generic because the type of its first argument has no exported name.
func overrideCode[N any](_ N, err error) (int, bool) {
	var known *fault.Error
	if errors.As(err, &known) {
		return fault.HTTPStatus(err), true
	}
	return 0, false
}
