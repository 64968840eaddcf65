package incident

import (
	"context"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"belfry/internal/state"
)

// The bounds of what is kept of a text to be found by.
const (
	maxWordBytes = 64
	maxWords     = 500 // of one text
)

// Words returns the words of texts as they are searched for: lower-case runs of
// letters and digits, each once, in the order of their first occurrence.
func Words(texts ...string) []string {
	var out []string
	seen := map[string]bool{}
	for _, text := range texts {
		notWord := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
		for w := range strings.FieldsFuncSeq(strings.ToLower(text), notWord) {
			for len(w) > maxWordBytes { // cut at a rune border, without an ellipsis
				_, size := utf8.DecodeLastRuneInString(w)
				w = w[:len(w)-size]
			}
			if !seen[w] && len(out) < maxWords {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	return out
}

// searchText is everything of an incident itself that it is found by.
func (i *Incident) searchText() string {
	texts := []string{i.Title, i.Summary, i.Severity, i.Receiver, i.Policy, i.Rule}
	for _, m := range []map[string]string{i.GroupLabels, i.Labels, i.Annotations} {
		for _, k := range sortedKeys(m) {
			texts = append(texts, k, m[k])
		}
	}
	return strings.Join(texts, "\n")
}

// index makes an incident findable by its texts as they are now, and by what was
// said about it. What was once there stays: it was true then.
func index(ctx context.Context, tx *state.Tx, i *Incident, said []string) error {
	texts := said
	if now := i.searchText(); now != i.indexed {
		i.indexed = now
		texts = append([]string{now}, said...)
	}
	words := Words(texts...)
	for len(words) > 0 {
		batch := words[:min(len(words), wordsPerStatement)]
		words = words[len(batch):]
		var args []any
		for _, w := range batch {
			args = append(args, i.Tenant, stored(w), i.ID)
		}
		_, err := tx.Exec(ctx, `INSERT INTO incident_words (tenant, word, incident_id) VALUES `+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?), ", len(batch)), ", ")+` ON CONFLICT DO NOTHING`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// stored is a word as the database keeps it: hexadecimal, so that the words with a
// beginning are one range in every collation of every database.
func stored(word string) string { return hex.EncodeToString([]byte(word)) }

// afterStored is behind the stored forms of all words with a beginning.
func afterStored(prefix string) string { return stored(prefix) + "g" }

// wordsPerStatement keeps the number of arguments of one statement small.
const wordsPerStatement = 100
