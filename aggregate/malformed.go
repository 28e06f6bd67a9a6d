package aggregate

import (
	"bytes"
	"slices"
	"sync"

	"freshet/stream"
)

// malformed keeps the last records that were not points.
type malformed struct {
	mu   sync.Mutex
	last []Malformed
}

// Malformed is a record of the stream that holds no points.
type Malformed struct {
	Shard  stream.ShardID
	Offset stream.Offset
	Size   int
	Head   []byte // the first 256 bytes
	Reason string
}

// maxMalformed is how many malformed records are kept for inspection; older ones are dropped.
const maxMalformed = 100

func (m *malformed) add(r Malformed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.last) == maxMalformed {
		m.last = slices.Delete(m.last, 0, 1)
	}
	m.last = append(m.last, r)
}

// Malformed returns the last records that held no points, oldest first.
func (e *Engine) Malformed() []Malformed {
	e.malformed.mu.Lock()
	defer e.malformed.mu.Unlock()
	return slices.Clone(e.malformed.last)
}

// quarantine keeps a record that holds no points.
func (e *Engine) quarantine(s *shard, r stream.Record, err error) {
	head := r.Data[:min(len(r.Data), 256)]
	e.malformed.add(Malformed{Shard: s.log.ID(), Offset: r.Offset, Size: len(r.Data), Head: bytes.Clone(head), Reason: err.Error()})
}
