package escalation

import (
	"context"

	"github.com/prometheus/common/model"

	"belfry/alerting/incident"
	"belfry/internal/state"
)

// muting asks whether all firing alerts of an incident are muted. Where that
// cannot be told they are not: a page too many is better than none. The error is
// of the database alone.
func (e *Engine) muting(ctx context.Context, tx *state.Tx, i *incident.Incident) (Muting, error) {
	if e.opts.Muted == nil || i.Source != incident.SourceAlertmanager {
		return Muting{}, nil
	}
	alerts, err := incident.Alerts(ctx, tx, i.ID)
	if err != nil {
		return Muting{}, err
	}
	var firing []model.LabelSet
	for _, a := range alerts {
		if a.Status != incident.AlertFiring {
			continue
		}
		ls := make(model.LabelSet, len(a.Labels))
		for name, value := range a.Labels {
			ls[model.LabelName(name)] = model.LabelValue(value)
		}
		firing = append(firing, ls)
	}
	if len(firing) == 0 || len(firing) < i.AlertsFiring { // more than are kept
		return Muting{}, nil
	}
	reason, until, muted, err := e.opts.Muted(ctx, firing...)
	if err != nil {
		e.log.Error("whether alerts are muted cannot be found out, the escalation goes on", "incident", i.ID, "error", err)
		return Muting{Failed: true}, nil
	}
	if !muted {
		return Muting{}, nil
	}
	if reason == "" {
		reason = "muted"
	}
	return Muting{Muted: true, Reason: incident.Clip(reason, maxReason), Until: until}, nil
}

// maxReason bounds the reason of a mute: people write parts of it.
const maxReason = 1024
