package shop

import "time"

// Trouble is what goes wrong in the shop at one moment.
type Trouble struct {
	PaymentErrorRate float64       // share of card charges that fail
	CatalogDelay     time.Duration // added to every search
	StockOut         bool          // the warehouse has run out of one article
}

// The timetable repeats after period. The first trouble starts early enough
// that whoever starts the demo sees it come.
const (
	period       = 6 * time.Minute
	paymentFrom  = 30 * time.Second
	paymentTo    = 150 * time.Second
	catalogFrom  = 180 * time.Second
	catalogTo    = 250 * time.Second
	stockOutFrom = 270 * time.Second
	stockOutTo   = 330 * time.Second
)

// TroubleAt returns the trouble at a time since the shop opened.
func TroubleAt(open time.Duration) Trouble {
	at := open % period
	var t Trouble
	if paymentFrom <= at && at < paymentTo {
		t.PaymentErrorRate = 0.4
	}
	if catalogFrom <= at && at < catalogTo {
		t.CatalogDelay = 600 * time.Millisecond
	}
	t.StockOut = stockOutFrom <= at && at < stockOutTo
	return t
}
