package extract

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

var errDuration = errors.New("not a valid duration string")

// ParseDuration reads a duration as LogQL writes it: 5m, 1h30m, 1d, 1w, 1.5s.
func ParseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	return 0, errDuration
}

var byteUnits = map[string]float64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15, "eb": 1e18,
	"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50, "eib": 1 << 60,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50, "ei": 1 << 60,
}

var errBytes = errors.New("not a valid size string")

// ParseBytes reads a size as LogQL writes it: 42, 20kB, 1.5MiB. Units of a
// thousand and of 1024 are told apart, case is not.
func ParseBytes(s string) (uint64, error) {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && ('0' <= s[end] && s[end] <= '9' || s[end] == '.' || s[end] == ',') {
		end++
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(s[:end], ",", ""), 64)
	unit, ok := byteUnits[strings.ToLower(strings.TrimSpace(s[end:]))]
	if err != nil || !ok || n*unit >= math.MaxUint64 {
		return 0, errBytes
	}
	return uint64(n * unit), nil
}
