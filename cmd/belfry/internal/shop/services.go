package shop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// work takes a time spread around mean as real work's is: mostly a bit less,
// sometimes a lot more.
func work(ctx context.Context, mean time.Duration) error {
	return pause(ctx, time.Duration(float64(mean)*(0.5+rand.ExpFloat64()/2)))
}

func (sh *Shop) catalog(s *service) {
	all := goods()
	s.handle("GET /search", func(r *http.Request) (any, error) {
		query := r.URL.Query().Get("q")
		ctx, span := s.tracer.Start(r.Context(), "SELECT articles", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("db.system.name", "sqlite"), attribute.String("db.query.text", "SELECT * FROM articles WHERE text MATCH ?")))
		defer span.End()
		delay := sh.trouble().CatalogDelay
		if delay > 0 {
			span.AddEvent("full table scan", trace.WithAttributes(attribute.String("index", "articles_text")))
			s.log.WarnContext(ctx, "slow query", "db.query.text", "SELECT * FROM articles WHERE text MATCH ?", "duration_ms", delay.Milliseconds())
		}
		if err := work(ctx, 8*time.Millisecond+delay); err != nil {
			return nil, err
		}
		found := search(all, query)
		span.SetAttributes(attribute.Int("db.response.returned_rows", len(found)))
		s.log.InfoContext(ctx, "searched", "query", query, "hits", len(found))
		return found, nil
	})
}

// carts keeps what shoppers have put aside. A checkout empties a cart, and a
// cart that nobody checks out is dropped when the table is full.
type carts struct {
	mu    sync.Mutex
	items map[string][]string
}

const maxCarts = 10_000

func (sh *Shop) cart(s *service) {
	c := &carts{items: map[string][]string{}}
	s.handle("POST /carts/{shopper}/items/{sku}", func(r *http.Request) (any, error) {
		if err := work(r.Context(), 3*time.Millisecond); err != nil {
			return nil, err
		}
		shopper, sku := r.PathValue("shopper"), r.PathValue("sku")
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.items) >= maxCarts {
			clear(c.items)
			s.log.WarnContext(r.Context(), "cart table was full and has been cleared", "limit", maxCarts)
		}
		c.items[shopper] = append(c.items[shopper], sku)
		s.log.DebugContext(r.Context(), "item added", "shopper", shopper, "sku", sku)
		return c.items[shopper], nil
	})
	s.handle("DELETE /carts/{shopper}", func(r *http.Request) (any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		taken := c.items[r.PathValue("shopper")]
		delete(c.items, r.PathValue("shopper"))
		return taken, nil
	})
}

func (sh *Shop) payment(s *service) error {
	charged, err := s.meter.Int64Counter("shop.payments", metric.WithDescription("Card charges by result."))
	if err != nil {
		return err
	}
	s.handle("POST /charge", func(r *http.Request) (any, error) {
		cents, err := strconv.Atoi(r.URL.Query().Get("cents"))
		if err != nil {
			return nil, &failure{http.StatusBadRequest, "cents is not a number"}
		}
		ctx, span := s.tracer.Start(r.Context(), "authorize card", trace.WithAttributes(attribute.Int("payment.cents", cents), attribute.String("payment.network", "ringbank")))
		defer span.End()
		if err := work(ctx, 25*time.Millisecond); err != nil {
			return nil, err
		}
		if rand.Float64() < max(sh.trouble().PaymentErrorRate, 0.003) {
			charged.Add(ctx, 1, metric.WithAttributes(attribute.String("result", "failed")))
			return nil, &failure{http.StatusBadGateway, "ringbank: connection reset while authorizing the card"}
		}
		charged.Add(ctx, 1, metric.WithAttributes(attribute.String("result", "ok")))
		s.log.InfoContext(ctx, "card charged", "payment.cents", cents, "payment.network", "ringbank")
		return map[string]string{"authorization": fmt.Sprintf("A%08d", rand.IntN(1e8))}, nil
	})
	return nil
}

// inventory is instrumented with Prometheus' client library and scraped, as
// many services are.
func (sh *Shop) inventory(s *service) {
	reg := prometheus.NewRegistry()
	reserve := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name: "inventory_reserve_duration_seconds", Help: "Time to reserve an article.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1}, NativeHistogramBucketFactor: 1.1,
	}, []string{"result"})
	stock := promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{Name: "inventory_stock", Help: "Articles in the warehouse."}, []string{"sku"})
	for _, a := range goods() {
		stock.WithLabelValues(a.SKU).Set(500)
	}
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	s.handle("POST /reserve/{sku}", func(r *http.Request) (any, error) {
		begin := time.Now()
		sku := r.PathValue("sku")
		if err := work(r.Context(), 4*time.Millisecond); err != nil {
			return nil, err
		}
		observe := func(result string) {
			labels := prometheus.Labels{"trace_id": trace.SpanContextFromContext(r.Context()).TraceID().String()}
			if o, ok := reserve.WithLabelValues(result).(prometheus.ExemplarObserver); ok {
				o.ObserveWithExemplar(time.Since(begin).Seconds(), labels)
			}
		}
		if sh.trouble().StockOut && sku == "ROP-003" {
			stock.WithLabelValues(sku).Set(0)
			observe("out_of_stock")
			return nil, &failure{http.StatusConflict, "out of stock: " + sku}
		}
		observe("ok")
		stock.WithLabelValues(sku).Set(float64(400 + rand.IntN(200)))
		return map[string]string{"reserved": sku}, nil
	})
}

func (sh *Shop) shipping(s *service, inventory *service) {
	s.handle("POST /ship/{sku}", func(r *http.Request) (any, error) {
		if err := s.call(r.Context(), http.MethodPost, inventory.url("/reserve/"+r.PathValue("sku")), nil); err != nil {
			return nil, err
		}
		if err := work(r.Context(), 6*time.Millisecond); err != nil {
			return nil, err
		}
		parcel := fmt.Sprintf("P%09d", rand.IntN(1e9))
		s.log.InfoContext(r.Context(), "parcel announced", "parcel", parcel, "sku", r.PathValue("sku"))
		return map[string]string{"parcel": parcel}, nil
	})
}

func (sh *Shop) checkout(s *service, cart, payment, shipping *service) error {
	revenue, err := s.meter.Int64Counter("shop.revenue", metric.WithUnit("{cent}"), metric.WithDescription("Money taken."))
	if err != nil {
		return err
	}
	prices := map[string]int{}
	for _, a := range goods() {
		prices[a.SKU] = a.Cents
	}
	s.handle("POST /checkout/{shopper}", func(r *http.Request) (any, error) {
		var skus []string
		if err := s.call(r.Context(), http.MethodDelete, cart.url("/carts/"+r.PathValue("shopper")), &skus); err != nil {
			return nil, err
		}
		if len(skus) == 0 {
			return nil, &failure{http.StatusConflict, "the cart is empty"}
		}
		total := 0
		for _, sku := range skus {
			total += prices[sku]
		}
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.Int("shop.items", len(skus)), attribute.Int("shop.cents", total))
		if err := s.call(r.Context(), http.MethodPost, payment.url("/charge?cents="+strconv.Itoa(total)), nil); err != nil {
			return nil, fmt.Errorf("charging %d cents: %w", total, err)
		}
		for _, sku := range skus {
			if err := s.call(r.Context(), http.MethodPost, shipping.url("/ship/"+sku), nil); err != nil {
				return nil, fmt.Errorf("shipping %s: %w", sku, err)
			}
		}
		revenue.Add(r.Context(), int64(total))
		s.log.InfoContext(r.Context(), "order placed", "shopper", r.PathValue("shopper"), "shop.cents", total, "items", len(skus))
		return map[string]int{"cents": total}, nil
	})
	return nil
}

func (sh *Shop) storefront(s *service, catalog, cart, checkout *service) {
	s.handle("GET /search", func(r *http.Request) (any, error) {
		var found []Article
		err := s.call(r.Context(), http.MethodGet, catalog.url("/search?"+r.URL.RawQuery), &found)
		return found, err
	})
	s.handle("POST /cart/{shopper}/{sku}", func(r *http.Request) (any, error) {
		err := s.call(r.Context(), http.MethodPost, cart.url("/carts/"+r.PathValue("shopper")+"/items/"+r.PathValue("sku")), nil)
		return struct{}{}, err
	})
	s.handle("POST /checkout/{shopper}", func(r *http.Request) (any, error) {
		var order map[string]int
		err := s.call(r.Context(), http.MethodPost, checkout.url("/checkout/"+r.PathValue("shopper")), &order)
		return order, err
	})
}
