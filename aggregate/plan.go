package aggregate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"freshet/ingest/point"
)

// Limits of a query.
const (
	MaxSteps  = 11_000    // steps of an answer
	MaxBy     = 8         // labels to group by
	MaxTop    = 1000      // series that top keeps
	maxCells  = 4_000_000 // groups × steps that one evaluation holds
	autoSteps = 300       // steps that auto aims for at most
)

// A QueryError says what is wrong with a query.
type QueryError struct{ Reason string }

func (e *QueryError) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &QueryError{fmt.Sprintf(format, args...)} }

// aggKind says how cells are put together.
type aggKind uint8

const (
	aggCount aggKind = iota
	aggSum
	aggAvg
	aggMin
	aggMax
	aggLast
	aggRate
	aggIncrease
	aggDistinct
	aggQuantile
)

var aggNames = map[string]aggKind{
	"count": aggCount, "sum": aggSum, "avg": aggAvg, "min": aggMin, "max": aggMax, "last": aggLast,
	"rate": aggRate, "increase": aggIncrease, "distinct": aggDistinct,
}

// parseAgg returns the kind that a name stands for, and q for a quantile.
func parseAgg(name string) (kind aggKind, q float64, err error) {
	if kind, ok := aggNames[name]; ok {
		return kind, 0, nil
	}
	if digits, ok := strings.CutPrefix(name, "p"); ok {
		if p, err := strconv.ParseFloat(digits, 64); err == nil && p > 0 && p < 100 {
			return aggQuantile, p / 100, nil
		}
	}
	return 0, 0, refuse("agg %q is not one of count, sum, avg, min, max, last, rate, increase, distinct or pN with 0 < N < 100", name)
}

// A Plan is a checked query. It keeps which series match, and learns of new ones at
// each evaluation. It belongs to one goroutine at a time.
type Plan struct {
	Query Query
	// RangeMS is how far the query reaches back from now; 0 means From and To.
	RangeMS int64
	// StepMS is the length of a step, a multiple of the base window.
	StepMS int64

	engine *Engine
	kind   aggKind
	q      float64
	by     []string

	// What is known of the metric's series: groupOf[i] is the group of series i, or -1.
	metric  *metric
	typ     point.Type // of the series that count
	groupOf []int32
	groups  []group
	byKey   map[string]int32
}

// A group is what an answer shows as one series.
type group struct {
	key    string // the values of the labels, each ended by a zero byte
	labels map[string]string
}

// Plan checks a query.
func (e *Engine) Plan(q Query) (*Plan, error) {
	p := &Plan{Query: q, engine: e, byKey: map[string]int32{}}
	if q.Metric == "" {
		return nil, refuse("metric is required")
	}
	if q.Agg == "" {
		return nil, refuse("agg is required: one of count, sum, avg, min, max, last, rate, increase, distinct or pN")
	}
	var err error
	if p.kind, p.q, err = parseAgg(q.Agg); err != nil {
		return nil, err
	}
	if len(q.By) > MaxBy {
		return nil, refuse("by has %d labels; the limit is %d", len(q.By), MaxBy)
	}
	if q.Top < 0 || q.Top > MaxTop {
		return nil, refuse("top is %d; it must lie between 0 and %d", q.Top, MaxTop)
	}
	p.by = slices.Compact(slices.Sorted(slices.Values(q.By)))
	if err := p.planTime(); err != nil {
		return nil, err
	}
	return p, nil
}

// planTime checks range, from, to and step.
func (p *Plan) planTime() error {
	q, width := p.Query, p.engine.options.Window.Milliseconds()
	span := int64(q.To) - int64(q.From)
	switch {
	case q.Range != "" && (q.From != 0 || q.To != 0):
		return refuse("range and from/to exclude each other")
	case q.Range != "":
		d, err := parseDuration(q.Range)
		if err != nil {
			return refuse("range %q: %v", q.Range, err)
		}
		p.RangeMS = d
		span = d
	case q.From == 0:
		return refuse("range or from is required")
	case q.To == 0:
		span = p.engine.now().UnixMilli() - int64(q.From)
	}
	if span <= 0 {
		return refuse("the query covers %d ms; from must lie before to", span)
	}
	if q.Step == "" || q.Step == "auto" {
		p.StepMS = autoStep(span, width)
	} else {
		d, err := parseDuration(q.Step)
		if err != nil {
			return refuse("step %q: %v", q.Step, err)
		}
		p.StepMS = d
	}
	if p.StepMS%width != 0 {
		return refuse("step %q is not a multiple of the window of %d ms", q.Step, width)
	}
	if n := span/p.StepMS + 1; n > MaxSteps {
		return refuse("range over step makes %d steps; the limit is %d", n, MaxSteps)
	}
	return nil
}

// parseDuration returns a positive number of milliseconds. Beside the units of
// time.ParseDuration it takes d and w.
func parseDuration(s string) (int64, error) {
	for unit, days := range map[string]int64{"d": 1, "w": 7} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil {
			if n < 1 || n*days > 36500 {
				return 0, fmt.Errorf("must lie between 1ms and 36500d")
			}
			return n * days * 24 * hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("not a duration such as 10s, 15m, 3h or 7d")
	case d < time.Millisecond || d > 36500*24*time.Hour:
		return 0, fmt.Errorf("must lie between 1ms and 36500d")
	case d%time.Millisecond != 0:
		return 0, fmt.Errorf("must be whole milliseconds")
	}
	return d.Milliseconds(), nil
}

// autoStep returns the least even length of step that cuts span into at most autoSteps.
func autoStep(span, width int64) int64 {
	const second = 1000
	for _, step := range []int64{
		second, 2 * second, 5 * second, 10 * second, 15 * second, 30 * second,
		minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour,
	} {
		if step%width == 0 && span/step <= autoSteps {
			return step
		}
	}
	const day = int64(24 * hour)
	step := max(day, width)
	for span/step > autoSteps {
		step += day
	}
	return step / width * width
}

// refresh takes series into account that came since the last call.
func (p *Plan) refresh() error {
	if p.metric == nil {
		if p.metric = p.engine.dictionary.metric(p.Query.Metric); p.metric == nil {
			return nil
		}
		p.metric.asked.Store(true)
	}
	entries := p.metric.series()
	if len(p.groupOf) == 0 && len(entries) > 0 {
		p.typ = entries[0].Type
		if err := p.checkType(); err != nil {
			return err
		}
	}
	var key []byte
	for _, e := range entries[len(p.groupOf):] {
		p.groupOf = append(p.groupOf, p.place(e, &key))
	}
	return nil
}

// checkType refuses aggregates that the metric's type does not have.
func (p *Plan) checkType() error {
	switch p.kind {
	case aggRate, aggIncrease:
		if p.typ == point.Gauge {
			return refuse("agg %s needs a counter, a cumulative or a distribution; %s is a gauge", p.Query.Agg, p.Query.Metric)
		}
	case aggQuantile:
		if p.typ != point.Distribution {
			return refuse("agg %s needs a distribution; %s is a %s", p.Query.Agg, p.Query.Metric, p.typ)
		}
	case aggDistinct:
		if p.typ != point.Set {
			return refuse("agg distinct needs a set; %s is a %s", p.Query.Metric, p.typ)
		}
	case aggSum, aggAvg, aggMin, aggMax, aggLast:
		if p.typ == point.Set {
			return refuse("agg %s needs numbers; %s is a set: use distinct or count", p.Query.Agg, p.Query.Metric)
		}
	}
	return nil
}

// place returns the group of a series, or -1 if it does not match.
func (p *Plan) place(e *entry, key *[]byte) int32 {
	if e.Type != p.typ {
		return -1
	}
	for name, values := range p.Query.Where {
		if !slices.Contains(values, e.Labels.Get(name)) {
			return -1
		}
	}
	k := (*key)[:0]
	for _, name := range p.by {
		k = append(append(k, e.Labels.Get(name)...), 0)
	}
	*key = k
	g, ok := p.byKey[string(k)]
	if !ok {
		g = int32(len(p.groups))
		labels := make(map[string]string, len(p.by))
		for _, name := range p.by {
			labels[name] = e.Labels.Get(name)
		}
		p.groups = append(p.groups, group{key: string(k), labels: labels})
		p.byKey[string(k)] = g
	}
	return g
}

// span is the steps that an evaluation fills: step i covers from+i·step and the
// step milliseconds after it.
type span struct {
	from, step int64
	steps      int
}

func (s span) to() int64 { return s.from + int64(s.steps)*s.step }

// rank orders groups by score, best first, ties by key.
func rank(groups []group, score []float64) []int {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	value := func(i int) float64 {
		if math.IsNaN(score[i]) {
			return math.Inf(-1)
		}
		return score[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(groups[a].key, groups[b].key))
	})
	return order
}
