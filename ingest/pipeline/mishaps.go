package pipeline

import (
	"sync"
	"unicode/utf8"
)

const (
	maxKept = 100 // mishaps of a pipeline that are kept, the latest
	maxHead = 256 // bytes of a record that are kept with one
)

// A Kept is a mishap, with what is needed to find the record and to see why.
type Kept struct {
	At       int64  `json:"at"` // epoch milliseconds
	Shard    string `json:"shard"`
	Sequence string `json:"sequence"`
	Sub      uint32 `json:"sub,omitempty"` // of a record that was aggregated: its index
	Key      string `json:"key"`
	Field    string `json:"field"`
	Reason   string `json:"reason"`
	Head     string `json:"head"` // the first 256 bytes of the record
}

// mishaps keeps the latest, in a ring. Anyone may use it.
type mishaps struct {
	mu   sync.Mutex
	ring []Kept
	next int
}

func (m *mishaps) add(k Kept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) < maxKept {
		m.ring = append(m.ring, k)
		return
	}
	m.ring[m.next] = k
	m.next = (m.next + 1) % maxKept
}

// list returns what is kept, the latest first.
func (m *mishaps) list() []Kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Kept, 0, len(m.ring))
	for i := range m.ring {
		all = append(all, m.ring[(m.next+len(m.ring)-1-i)%len(m.ring)])
	}
	return all
}

// head returns the beginning of a record as text; what is not is replaced.
func head(data []byte) string {
	cut := data
	if len(cut) > maxHead {
		cut = cut[:maxHead]
		for range utf8.UTFMax - 1 { // not within a character
			if r, n := utf8.DecodeLastRune(cut); r != utf8.RuneError || n != 1 {
				break
			}
			cut = cut[:len(cut)-1]
		}
	}
	text := make([]rune, 0, len(cut))
	for _, r := range string(cut) {
		if r < ' ' && r != '\n' && r != '\t' {
			r = utf8.RuneError
		}
		text = append(text, r)
	}
	return string(text)
}
