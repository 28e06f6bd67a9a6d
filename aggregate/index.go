package aggregate

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"freshet/ingest/point"
)

// maxIndexed is how many labels of a metric are indexed for good. One beyond is indexed
// for the query that asks for it and forgotten.
const maxIndexed = 128

// An index finds the series of a metric by their labels. It grows when somebody looks:
// folding never waits for it, and labels that nobody asks for cost nothing. Anyone may
// call it at any time.
type index struct {
	mu sync.RWMutex

	// Of the first seen entries.
	seen   int
	names  map[string]struct{} // of labels
	last   point.Labels        // of the entry seen last: series tend to have the same names
	mixed  bool                // they are not all of one type
	labels map[string]*column  // those that were asked for
}

// A column is one label of a metric's series.
type column struct {
	of      []uint32 // by series: the number of its value; 0 is no label, or an empty one
	values  []labelValue
	numbers map[string]uint32
}

// A labelValue is one value of a label, and the series that have it.
type labelValue struct {
	text   string
	series []uint32 // rising
}

// extend takes entries into account that are new to the column.
func (c *column) extend(name string, entries []*entry) {
	if c.numbers == nil {
		c.numbers = map[string]uint32{"": 0}
		c.values = []labelValue{{}}
		c.of = make([]uint32, 0, len(entries))
	}
	for _, e := range entries[min(len(c.of), len(entries)):] {
		value := e.Labels.Get(name)
		n, ok := c.numbers[value]
		if !ok {
			n = uint32(len(c.values))
			c.numbers[value] = n
			c.values = append(c.values, labelValue{text: value})
		}
		v := &c.values[n]
		v.series = append(v.series, uint32(len(c.of)))
		c.of = append(c.of, n)
	}
}

// above returns the series of value n from first on.
func (c *column) above(n uint32, first int) []uint32 {
	s := c.values[n].series
	i, _ := slices.BinarySearchFunc(s, first, func(s uint32, first int) int { return cmp.Compare(int(s), first) })
	return s[i:]
}

// read calls look with the columns of the labels named, all of which know the entries
// given. Look must not keep them.
func (x *index) read(entries []*entry, names []string, look func(columns []*column, mixed bool)) {
	columns := make([]*column, len(names))
	for !x.has(entries, names, columns, look) {
		x.grow(entries, names)
	}
}

// has calls look if all is indexed that it needs.
func (x *index) has(entries []*entry, names []string, columns []*column, look func([]*column, bool)) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.seen < len(entries) {
		return false
	}
	for i, name := range names {
		c := x.labels[name]
		switch _, used := x.names[name]; {
		case c != nil && len(c.of) >= len(entries):
		case c != nil || used && len(x.labels) < maxIndexed:
			return false
		default:
			c = &column{}
			c.extend(name, entries)
		}
		columns[i] = c
	}
	look(columns, x.mixed)
	return true
}

// grow takes new entries into account, and labels that are asked for the first time.
func (x *index) grow(entries []*entry, names []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.growLocked(entries)
	for _, name := range names {
		c := x.labels[name]
		if _, used := x.names[name]; c == nil && used && len(x.labels) < maxIndexed {
			c = &column{}
			x.labels[name] = c
		}
		if c != nil {
			c.extend(name, entries)
		}
	}
}

func (x *index) growLocked(entries []*entry) {
	if x.names == nil {
		x.names, x.labels = map[string]struct{}{}, map[string]*column{}
	}
	for _, e := range entries[min(x.seen, len(entries)):] {
		x.mixed = x.mixed || e.Type != entries[0].Type
		if !slices.EqualFunc(e.Labels, x.last, func(a, b point.Label) bool { return a.Name == b.Name }) {
			for _, l := range e.Labels {
				x.names[l.Name] = struct{}{}
			}
			x.last = e.Labels
		}
	}
	x.seen = max(x.seen, len(entries))
}

// labelNames returns the names of all labels, in order.
func (x *index) labelNames(entries []*entry) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.growLocked(entries)
	return append([]string{}, slices.Sorted(maps.Keys(x.names))...)
}

// texts returns the values of a label other than none, in no order.
func (x *index) texts(entries []*entry, name string) []string {
	var out []string
	x.read(entries, []string{name}, func(columns []*column, _ bool) {
		for _, v := range columns[0].values[1:] {
			out = append(out, v.text)
		}
	})
	return out
}
