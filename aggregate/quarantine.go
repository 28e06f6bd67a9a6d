package aggregate

import (
	"bytes"
	"slices"
	"sync"

	"freshet/stream"
)

// quarantine keeps the last records that were not points, or not in all.
type quarantine struct {
	mu   sync.Mutex
	last []Quarantined
}

// Quarantined is a record of the stream of which not all could be counted.
type Quarantined struct {
	Shard   stream.ShardID
	Offset  stream.Offset
	Arrived int64 // epoch ms
	Size    int
	Head    []byte // the first 256 bytes
	Refused int    // points that may not be, such as one from the far future; 0 when the record holds no points at all
	Reason  string // of the first
}

// maxQuarantined is how many records are kept for inspection; older ones are dropped.
const maxQuarantined = 100

func (q *quarantine) add(r Quarantined) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.last) == maxQuarantined {
		q.last = slices.Delete(q.last, 0, 1)
	}
	q.last = append(q.last, r)
}

// Quarantined returns the last records of which not all could be counted, oldest first.
func (e *Engine) Quarantined() []Quarantined {
	e.quarantine.mu.Lock()
	defer e.quarantine.mu.Unlock()
	return slices.Clone(e.quarantine.last)
}

// putAside keeps a record of which some points, or all, could not be counted.
func (s *shard) putAside(r stream.Record, refused int, err error) {
	s.engine.quarantine.add(Quarantined{
		Shard: s.log.ID(), Offset: r.Offset, Arrived: r.Arrived, Size: len(r.Data),
		Head: bytes.Clone(r.Data[:min(len(r.Data), 256)]), Refused: refused, Reason: err.Error(),
	})
}
