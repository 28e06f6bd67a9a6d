package aggregate

import (
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"freshet/ingest/point"
)

// OverflowLabel marks the one series of a metric and type that takes the points of
// series beyond the limit.
const OverflowLabel = "__overflow__"

// A Dictionary gives every series its id. It only grows, up to a limit of series;
// points of a series beyond it are counted in the overflow series of their metric.
// Anyone may call it at any time.
type Dictionary struct {
	limit    int
	overflow atomic.Uint64 // look-ups that ended in an overflow series

	mu      sync.RWMutex
	byHash  map[uint64]*entry
	byID    []*entry // byID[i] has id i+1
	metrics map[string]*metric
	ordered []*metric // ordered[i].id == i
}

// An entry is a series with its place in the dictionary.
type entry struct {
	Series
	metric   *metric
	index    uint32 // among the series of the metric
	overflow bool   // takes the points of series beyond the limit
	next     *entry // another series with the same hash
}

// A metric is all series of one name.
type metric struct {
	name  string
	id    int
	asked atomic.Bool // some query was about it
	index index

	// Guarded by Dictionary.mu. Members and numbers do not mix, so each type has its own.
	overflow [point.Set + 1]*entry

	// Written under Dictionary.mu, read by anyone. Entries are only added.
	entries atomic.Pointer[[]*entry]
}

// series returns the metric's series; series[i].index == i.
func (m *metric) series() []*entry {
	if p := m.entries.Load(); p != nil {
		return *p
	}
	return nil
}

// NewDictionary returns a dictionary that holds the series given, by rising id without
// gaps, and takes no more than limit in all (overflow series aside).
func NewDictionary(limit int, known []Series) *Dictionary {
	d := &Dictionary{limit: limit, byHash: map[uint64]*entry{}, metrics: map[string]*metric{}}
	for _, s := range known {
		d.addLocked(point.HashOf(s.Series), s.Series)
	}
	return d
}

// Len returns the number of series and of metrics.
func (d *Dictionary) Len() (series, metrics int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byID), len(d.ordered)
}

// Overflowed returns how many look-ups ended in an overflow series.
func (d *Dictionary) Overflowed() uint64 { return d.overflow.Load() }

// After returns the series with an id above id, by rising id.
func (d *Dictionary) After(id SeriesID) []Series {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if int(id) >= len(d.byID) {
		return nil
	}
	out := make([]Series, 0, len(d.byID)-int(id))
	for _, e := range d.byID[id:] {
		out = append(out, e.Series)
	}
	return out
}

// last returns the highest id given.
func (d *Dictionary) last() SeriesID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return SeriesID(len(d.byID))
}

func (d *Dictionary) metric(name string) *metric {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.metrics[name]
}

// all returns the metrics; all[i].id == i.
func (d *Dictionary) all() []*metric {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.ordered[:len(d.ordered):len(d.ordered)]
}

func (d *Dictionary) byNumber(id SeriesID) *entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if id == 0 || int(id) > len(d.byID) {
		return nil
	}
	return d.byID[id-1]
}

// findLocked returns the entry of series i of the batch, or nil. The caller holds mu.
func (d *Dictionary) findLocked(b *point.Batch, i int, hash uint64) *entry {
	for e := d.byHash[hash]; e != nil; e = e.next {
		if b.Is(i, &e.Series.Series) {
			return e
		}
	}
	return nil
}

// intern returns the entry of series i of the batch and makes one if there is none.
func (d *Dictionary) intern(b *point.Batch, i int) *entry {
	hash := b.Runs[i].Hash
	d.mu.RLock()
	e := d.findLocked(b, i, hash)
	d.mu.RUnlock()
	if e != nil {
		return e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.findLocked(b, i, hash); e != nil {
		return e
	}
	s := b.Series(i)
	if len(d.byID) < d.limit {
		return d.addLocked(hash, s)
	}
	d.overflow.Add(1)
	return d.overflowLocked(s)
}

// resolve fills ids with the entries of the batch's series, none of which is new, and
// returns it.
func (d *Dictionary) resolve(b *point.Batch, ids []SeriesID) []SeriesID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range b.Runs {
		e := d.findLocked(b, i, b.Runs[i].Hash)
		if e == nil {
			e = d.metrics[string(b.Metric(i))].overflow[b.Runs[i].Type]
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// addLocked gives the series the next id.
func (d *Dictionary) addLocked(hash uint64, s point.Series) *entry {
	m := d.metrics[s.Metric]
	if m == nil {
		m = &metric{name: s.Metric, id: len(d.ordered)}
		d.metrics[s.Metric] = m
		d.ordered = append(d.ordered, m)
	}
	of := m.series()
	e := &entry{Series: Series{ID: SeriesID(len(d.byID) + 1), Series: s}, metric: m, index: uint32(len(of)), next: d.byHash[hash]}
	if len(s.Labels) == 1 && s.Labels[0].Name == OverflowLabel {
		e.overflow, m.overflow[s.Type] = true, e
	}
	d.byHash[hash] = e
	d.byID = append(d.byID, e)
	of = append(of, e)
	m.entries.Store(&of)
	return e
}

func (d *Dictionary) overflowLocked(s point.Series) *entry {
	if m := d.metrics[s.Metric]; m != nil && m.overflow[s.Type] != nil {
		return m.overflow[s.Type]
	}
	s.Labels = point.Labels{{Name: OverflowLabel, Value: "true"}}
	return d.addLocked(point.HashOf(s), s)
}

func (e *entry) isSet() bool { return e.Type == point.Set }

// memberHash returns the hash that stands for a member of a set. Stored counts are made
// of it, so it never changes.
func memberHash(member []byte) uint64 { return xxhash.Sum64(member) }

// MemberHash is the hash by which a member of a set is counted.
func MemberHash(member []byte) uint64 { return memberHash(member) }
