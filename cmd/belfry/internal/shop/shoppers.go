package shop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// shopper visits the shop again and again: looks for something, puts some of it
// aside, and often buys.
func (sh *Shop) shopper(ctx context.Context, number int) {
	words := []string{"bell", "rope", "brass", "book", "small", "iron wall", "part", "red rope", "gold"}
	all := goods()
	for visit := 0; ctx.Err() == nil; visit++ {
		name := fmt.Sprintf("shopper-%d-%d", number, visit)
		sh.visit(ctx, http.MethodGet, "/search?q="+url.QueryEscape(words[rand.IntN(len(words))]))
		items := rand.IntN(4)
		for range items {
			sh.visit(ctx, http.MethodPost, "/cart/"+name+"/"+all[rand.IntN(len(all))].SKU)
		}
		if items > 0 && rand.IntN(4) > 0 {
			sh.visit(ctx, http.MethodPost, "/checkout/"+name)
		}
	}
}

func (sh *Shop) visit(ctx context.Context, method, path string) {
	if pause(ctx, time.Duration(500+rand.IntN(1000))*time.Millisecond) != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, method, sh.front.url(path), http.NoBody)
	if err != nil {
		return
	}
	sh.visits.Add(1)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			sh.failures.Add(1)
		}
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusInternalServerError {
		sh.failures.Add(1)
	}
}
