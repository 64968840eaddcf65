package fragment

import "github.com/prometheus/prometheus/storage"

const (
	refsPage = 64

	notKnown = -2 // nothing is known of a series
	noSeries = -1 // the fragment does not select it
)

// refs are the indexes of series by their number in the store, in pages: series
// that are written together were mostly made together. The zero value is empty.
type refs struct {
	pages map[uint64]*[refsPage]int32

	last     uint64 // the page looked at last, if there is one
	lastPage *[refsPage]int32
}

func (r *refs) get(ref storage.SeriesRef) int32 {
	if page := r.page(uint64(ref) / refsPage); page != nil {
		return page[uint64(ref)%refsPage]
	}
	return notKnown
}

func (r *refs) set(ref storage.SeriesRef, i int32) {
	at := uint64(ref) / refsPage
	page := r.page(at)
	if page == nil {
		page = new([refsPage]int32)
		for j := range page {
			page[j] = notKnown
		}
		if r.pages == nil {
			r.pages = map[uint64]*[refsPage]int32{}
		}
		r.pages[at] = page
		r.last, r.lastPage = at, page
	}
	page[uint64(ref)%refsPage] = i
}

func (r *refs) page(at uint64) *[refsPage]int32 {
	if r.lastPage != nil && r.last == at {
		return r.lastPage
	}
	page := r.pages[at]
	if page != nil {
		r.last, r.lastPage = at, page
	}
	return page
}

func (r *refs) bytes() int { return len(r.pages) * (4*refsPage + 32) }
