package shop

import (
	"sort"
	"strings"
)

// Article is something that the shop sells.
type Article struct {
	SKU   string   `json:"sku"`
	Name  string   `json:"name"`
	Cents int      `json:"cents"`
	Tags  []string `json:"tags"`
}

func goods() []Article {
	return []Article{
		{"BEL-001", "Brass hand bell", 2490, []string{"bell", "brass", "small"}},
		{"BEL-014", "Ship's bell with bracket", 8900, []string{"bell", "brass", "wall"}},
		{"BEL-020", "Doorbell, cast iron", 3150, []string{"bell", "iron", "wall"}},
		{"ROP-003", "Bell rope with sally, red", 6400, []string{"rope", "red"}},
		{"ROP-004", "Bell rope with sally, blue", 6400, []string{"rope", "blue"}},
		{"CLA-008", "Clapper, forged", 4100, []string{"iron", "part"}},
		{"BRG-002", "Pair of ball bearings", 12900, []string{"part"}},
		{"BOK-001", "Change ringing for beginners", 1990, []string{"book", "small"}},
		{"BOK-002", "The nine tailors' logbook", 1490, []string{"book", "small"}},
		{"EAR-010", "Ear protection", 2200, []string{"small", "safety"}},
	}
}

// search returns the articles whose name or tags hold every word of the query.
func search(all []Article, query string) []Article {
	var found []Article
	for _, a := range all {
		text := strings.ToLower(a.Name + " " + strings.Join(a.Tags, " "))
		matches := true
		for word := range strings.FieldsSeq(strings.ToLower(query)) {
			matches = matches && strings.Contains(text, word)
		}
		if matches {
			found = append(found, a)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Cents < found[j].Cents })
	return found
}
