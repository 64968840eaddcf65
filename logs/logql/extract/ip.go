package extract

import (
	"errors"
	"net/netip"
	"strings"
)

var errIP = errors.New("ip: invalid pattern, want an address, a range a-b or a prefix a/n")

// IPMatcher holds addresses: one, a range or a prefix.
type IPMatcher struct {
	from, to netip.Addr
	prefix   netip.Prefix
}

// ParseIP reads 10.0.0.1, 10.0.0.1-10.0.0.9, 10.0.0.0/8 and their IPv6 siblings.
func ParseIP(s string) (*IPMatcher, error) {
	if from, to, ok := strings.Cut(s, "-"); ok {
		a, err1 := netip.ParseAddr(strings.TrimSpace(from))
		b, err2 := netip.ParseAddr(strings.TrimSpace(to))
		if err1 != nil || err2 != nil || a.BitLen() != b.BitLen() || b.Less(a) {
			return nil, errIP
		}
		return &IPMatcher{from: a, to: b}, nil
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, errIP
		}
		return &IPMatcher{prefix: p.Masked()}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return nil, errIP
	}
	return &IPMatcher{from: a, to: a}, nil
}

// Contains reports whether the address is one of the matcher's.
func (m *IPMatcher) Contains(a netip.Addr) bool {
	a = a.Unmap()
	if m.prefix.IsValid() {
		return m.prefix.Contains(a)
	}
	return a.BitLen() == m.from.BitLen() && !a.Less(m.from) && !m.to.Less(a)
}

// MatchText reports whether s is one of the addresses.
func (m *IPMatcher) MatchText(s string) bool {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	return err == nil && m.Contains(a)
}

// FindIn reports whether one of the addresses stands anywhere in the line.
func (m *IPMatcher) FindIn(line string) bool {
	for i := 0; i < len(line); {
		if !addrByte(line[i]) {
			i++
			continue
		}
		end, sep := i, false
		for end < len(line) && addrByte(line[end]) {
			sep = sep || line[end] == '.' || line[end] == ':'
			end++
		}
		if sep && m.matchWord(line[i:end]) {
			return true
		}
		i = end
	}
	return false
}

// matchWord tries a run of address characters: whole, without punctuation around it, and
// without a port behind it.
func (m *IPMatcher) matchWord(w string) bool {
	if m.MatchText(w) || m.MatchText(strings.Trim(w, ".:")) {
		return true
	}
	if colon := strings.LastIndexByte(w, ':'); colon > 0 && strings.Contains(w, ".") {
		return m.MatchText(strings.Trim(w[:colon], ".:"))
	}
	return false
}

func addrByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == '.' || c == ':'
}
