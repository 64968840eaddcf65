package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options says where the shop sends its telemetry.
type Options struct {
	Endpoint string               // OTLP gRPC, host:port
	Clock    func() time.Duration // since the first shopper, for the timetable of trouble; nil means real time
}

// Shop is the running shop.
type Shop struct {
	opts     Options
	opened   time.Time
	services []*service
	front    *service
	scrape   string
	cancel   context.CancelFunc
	work     sync.WaitGroup
	visits   atomic.Int64
	failures atomic.Int64
}

// Open starts all services. Nobody is in the shop yet.
func Open(ctx context.Context, opts Options) (*Shop, error) {
	sh := &Shop{opts: opts, opened: time.Now()}
	if err := sh.build(ctx); err != nil {
		return nil, errors.Join(err, sh.Close(ctx))
	}
	for _, s := range sh.services {
		sh.work.Go(s.serve)
	}
	return sh, nil
}

// Admit lets shoppers in, who stay until Close. Each makes about one request a
// second. The timetable of trouble starts now. It is called once.
func (sh *Shop) Admit(shoppers int) {
	sh.opened = time.Now()
	run, cancel := context.WithCancel(context.Background())
	sh.cancel = cancel
	for i := range shoppers {
		sh.work.Go(func() { sh.shopper(run, i) })
	}
}

func (sh *Shop) build(ctx context.Context) error {
	byName := map[string]*service{}
	for _, p := range []struct{ name, version string }{
		{"inventory", "2.3.1"}, {"shipping", "1.0.4"}, {"payment", "4.11.0"}, {"cart", "1.8.2"},
		{"catalog", "3.2.0"}, {"checkout", "2.0.0"}, {"storefront", "5.1.7"},
	} {
		s, err := newService(ctx, p.name, p.version, sh.opts.Endpoint)
		if err != nil {
			return err
		}
		sh.services = append(sh.services, s)
		byName[p.name] = s
	}
	sh.inventory(byName["inventory"])
	sh.shipping(byName["shipping"], byName["inventory"])
	sh.cart(byName["cart"])
	sh.catalog(byName["catalog"])
	sh.storefront(byName["storefront"], byName["catalog"], byName["cart"], byName["checkout"])
	sh.front = byName["storefront"]
	sh.scrape = byName["inventory"].listener.Addr().String()
	return errors.Join(
		sh.payment(byName["payment"]),
		sh.checkout(byName["checkout"], byName["cart"], byName["payment"], byName["shipping"]),
	)
}

func (sh *Shop) trouble() Trouble {
	if sh.opts.Clock != nil {
		return TroubleAt(sh.opts.Clock())
	}
	return TroubleAt(time.Since(sh.opened))
}

// ScrapeAddress is where the inventory service offers Prometheus metrics, under
// /metrics.
func (sh *Shop) ScrapeAddress() string { return sh.scrape }

// Visits returns how many requests shoppers have made and how many failed.
func (sh *Shop) Visits() (total, failed int64) { return sh.visits.Load(), sh.failures.Load() }

// Close sends the shoppers home, stops the services from the front to the back
// and waits until their telemetry is sent.
func (sh *Shop) Close(ctx context.Context) error {
	if sh.cancel != nil {
		sh.cancel()
	}
	var errs []error
	for i := len(sh.services) - 1; i >= 0; i-- {
		if err := sh.services[i].shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", sh.services[i].name, err))
		}
	}
	sh.work.Wait()
	return errors.Join(errs...)
}
