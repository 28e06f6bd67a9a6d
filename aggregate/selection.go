package aggregate

import (
	"encoding/binary"
	"slices"

	"freshet/ingest/point"
)

// A selection is one aggregate of the series of one metric that match some conditions,
// in groups. It learns of new series at each refresh. It belongs to one goroutine at a
// time.
type selection struct {
	engine *Engine
	name   string // of the metric
	agg    string
	kind   aggKind
	q      float64
	by     []string // rising, none twice
	where  []condition

	// What is known of the metric's series: groupOf[i] is the group of series i, or -1.
	metric  *metric
	typ     point.Type // of the series that count
	groupOf []int32
	groups  []group
	byKey   map[string]int32 // by the numbers of the values
	passing []passing        // by condition
}

// A group is what an answer shows as one series.
type group struct {
	key    string   // the values, each ended by a zero byte: groups are shown in this order
	values []string // of the labels
}

// labels returns the labels of a group.
func (p *selection) labels(g int) map[string]string {
	out := make(map[string]string, len(p.by))
	for i, name := range p.by {
		out[name] = p.groups[g].values[i]
	}
	return out
}

// passing is what a condition says of the values of its label, each of which is looked
// at once.
type passing struct {
	known   int // values that were looked at
	allowed []bool
	list    []uint32 // those that are allowed
}

// learn looks at the values that are new. A condition that names its values need not
// look at the others.
func (s *passing) learn(c *condition, of *column) {
	if s.known == len(of.values) {
		return
	}
	s.allowed = append(s.allowed, make([]bool, len(of.values)-s.known)...)
	see := func(n uint32) {
		if int(n) >= s.known && !s.allowed[n] && c.match(of.values[n].text) {
			s.allowed[n] = true
			s.list = append(s.list, n)
		}
	}
	if c.filter.In != nil {
		for _, value := range c.filter.In {
			if n, ok := of.numbers[value]; ok {
				see(n)
			}
		}
	} else {
		for n := s.known; n < len(of.values); n++ {
			see(uint32(n))
		}
	}
	s.known = len(of.values)
}

// refresh takes series into account that came since the last call.
func (p *selection) refresh() error {
	if p.metric == nil {
		if p.metric = p.engine.dictionary.metric(p.name); p.metric == nil {
			return nil
		}
		p.metric.asked.Store(true)
	}
	entries := p.metric.series()
	first := len(p.groupOf)
	if first == len(entries) {
		return nil
	}
	if first == 0 {
		p.typ = entries[0].Type
		if err := p.checkType(); err != nil {
			return err
		}
		p.byKey = map[string]int32{}
		p.passing = make([]passing, len(p.where))
	}
	p.groupOf = append(p.groupOf, make([]int32, len(entries)-first)...)
	for i := first; i < len(entries); i++ {
		p.groupOf[i] = -1
	}
	names := slices.Clone(p.by)
	for i := range p.where {
		names = append(names, p.where[i].label)
	}
	p.metric.index.read(entries, names, func(columns []*column, mixed bool) {
		p.place(entries, first, columns[:len(p.by)], columns[len(p.by):], mixed)
	})
	return nil
}

// place gives the entries from first on their groups, looking only at those of values
// that match the condition with the fewest series.
func (p *selection) place(entries []*entry, first int, by, where []*column, mixed bool) {
	least, driver := len(entries)-first, -1
	for i, c := range where {
		s := &p.passing[i]
		s.learn(&p.where[i], c)
		n := 0
		for _, v := range s.list {
			if n += len(c.above(v, first)); n >= least {
				break
			}
		}
		if n < least {
			least, driver = n, i
		}
	}
	var key []byte
	one := func(i int) {
		for w, c := range where {
			if !p.passing[w].allowed[c.of[i]] {
				return
			}
		}
		if mixed && entries[i].Type != p.typ {
			return
		}
		key = key[:0]
		for _, c := range by {
			key = binary.LittleEndian.AppendUint32(key, c.of[i])
		}
		g, ok := p.byKey[string(key)]
		if !ok {
			g = p.newGroup(string(key), by, i)
		}
		p.groupOf[i] = g
	}
	if driver < 0 {
		for i := first; i < len(entries); i++ {
			one(i)
		}
		return
	}
	for _, v := range p.passing[driver].list {
		for _, i := range where[driver].above(v, first) {
			if int(i) >= len(entries) {
				break // the index is ahead
			}
			one(int(i))
		}
	}
}

// newGroup makes the group that series i begins.
func (p *selection) newGroup(key string, by []*column, i int) int32 {
	g := group{values: make([]string, len(by))}
	var text []byte
	for n, c := range by {
		g.values[n] = c.values[c.of[i]].text
		text = append(append(text, g.values[n]...), 0)
	}
	g.key = string(text)
	at := int32(len(p.groups))
	p.groups = append(p.groups, g)
	p.byKey[key] = at
	return at
}

// checkType refuses aggregates that the metric's type does not have.
func (p *selection) checkType() error {
	switch p.kind {
	case aggRate, aggIncrease:
		if p.typ == point.Gauge {
			return refuse("agg %s needs a counter, a cumulative or a distribution; %s is a gauge", p.agg, p.name)
		}
	case aggQuantile, aggHeatmap:
		if p.typ != point.Distribution {
			return refuse("agg %s needs a distribution; %s is a %s", p.agg, p.name, p.typ)
		}
	case aggDistinct:
		if p.typ != point.Set {
			return refuse("agg distinct needs a set; %s is a %s", p.name, p.typ)
		}
	case aggSum, aggAvg, aggMin, aggMax, aggLast:
		if p.typ == point.Set {
			return refuse("agg %s needs numbers; %s is a set: use distinct or count", p.agg, p.name)
		}
	}
	return nil
}

// scalarKind returns what is added up: the increase of a counter is its sum, that of a
// distribution or a set the number of its points.
func (p *selection) scalarKind() aggKind {
	if p.kind == aggRate || p.kind == aggIncrease {
		if p.typ == point.Counter {
			return aggSum
		}
		return aggCount
	}
	return p.kind
}

// climbing reports whether states of different series do not merge.
func (p *selection) climbing() bool {
	return p.typ == point.Cumulative && (p.kind == aggRate || p.kind == aggIncrease)
}
