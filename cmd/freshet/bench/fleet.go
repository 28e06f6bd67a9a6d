package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"freshet/ingest/point"
)

// The two ways in which bodies are written.
const (
	codecJSON  = "json"
	codecBatch = "batch"
)

// What the labels of a fleet look like: routes go round, so that any group of them has
// series of every host.
const (
	perHost = 20
	routes  = 100
	regions = 4
)

// renderedAt is the time that bodies are rendered with. Its digits, and its bytes in a
// batch, are as many as those of any time from 2001 to 2039.
const renderedAt = 1_700_000_000_000

// A fleet is the series of one metric, in the order in which bodies go round them.
type fleet struct {
	metric, kind string
	series       int
	batch        int // points of a body, one of each series; a multiple of routes
	codec        string
	whole        bool // values are whole numbers, whose sums are exact
}

// check returns what is wrong with the sizes.
func (f *fleet) check() error {
	switch {
	case f.batch < routes || f.batch%routes != 0 || f.batch > point.MaxBatchPoints:
		return fmt.Errorf("--batch %d is not a multiple of %d up to %d", f.batch, routes, point.MaxBatchPoints)
	case f.series < f.batch || f.series%f.batch != 0 || f.series > 10_000_000:
		return fmt.Errorf("--series %d is not a multiple of the %d points of a post, up to 10,000,000", f.series, f.batch)
	}
	return nil
}

// bodies is how many bodies go round all series once.
func (f *fleet) bodies() int { return f.series / f.batch }

// digits is how many digits the number of a host has.
func (f *fleet) digits() int { return max(3, len(strconv.Itoa((f.series-1)/perHost))) }

func (f *fleet) host(n int) string { return fmt.Sprintf("host-%0*d", f.digits(), n) }

// value is what series i reports in a variant of the body.
func (f *fleet) value(i, variant int) string {
	if f.whole {
		return strconv.Itoa((i + variant*31) % 997)
	}
	return fmt.Sprintf("%d.%02d", (i+variant*31)%97, (i+variant)%89)
}

// A body is a rendered post of the first series of a fleet. Its times, and the numbers of
// its hosts, are patched in place before it is sent, which makes it a post of any others:
// what the generator holds does not grow with the series. It belongs to one goroutine.
type body struct {
	data   []byte
	points int
	sum    float64
	times  []int // where each time begins
	varint bool  // times are svarints, not digits
	hosts  []hostAt
	digits int
}

// A hostAt says where the digits of a host's number begin.
type hostAt struct{ at, host int }

// body renders a body. Variants differ in their values.
func (f *fleet) body(variant int) (*body, error) {
	b := &body{points: f.batch, digits: f.digits()}
	for i := range f.batch {
		v, err := strconv.ParseFloat(f.value(i, variant), 64)
		if err != nil {
			return nil, err
		}
		b.sum += v
	}
	if f.codec == codecBatch {
		return b, f.renderBatch(b, variant)
	}
	f.renderJSON(b, variant)
	return b, nil
}

func (f *fleet) renderJSON(b *body, variant int) {
	b.data = append(b.data, '[')
	for i := range f.batch {
		if i > 0 {
			b.data = append(b.data, ',')
		}
		b.data = fmt.Appendf(b.data, `{"metric":"%s","type":"%s","ts":`, f.metric, f.kind)
		b.times = append(b.times, len(b.data))
		b.data = fmt.Appendf(b.data, `%d,"value":%s,"labels":{"host":"`, int64(renderedAt), f.value(i, variant))
		b.data = append(b.data, f.host(i/perHost)...)
		b.hosts = append(b.hosts, hostAt{len(b.data) - b.digits, i / perHost})
		b.data = fmt.Appendf(b.data, `","route":"/api/v1/r%02d","region":"eu-%d"}}`, i%routes, i%regions)
	}
	b.data = append(b.data, ']')
}

// renderBatch renders the same points with the codec of the SDK. The places to patch are
// those of strings and of a time that stand in the batch only once.
func (f *fleet) renderBatch(b *body, variant int) error {
	typ, ok := point.ParseType(f.kind)
	if !ok {
		return fmt.Errorf("type %q is not one of a point's", f.kind)
	}
	var builder point.Builder
	var view point.View
	for i := range f.batch {
		p := point.Point{Series: point.Series{Metric: f.metric, Type: typ, Labels: point.Labels{
			{Name: "host", Value: f.host(i / perHost)},
			{Name: "region", Value: fmt.Sprintf("eu-%d", i%regions)},
			{Name: "route", Value: fmt.Sprintf("/api/v1/r%02d", i%routes)},
		}}, Time: renderedAt}
		p.Value, _ = strconv.ParseFloat(f.value(i, variant), 64) // body has tried
		view.Set(&p)
		builder.Add(&view)
	}
	b.data = builder.Encode(nil)
	for h := range (f.batch + perHost - 1) / perHost {
		at, err := only(b.data, []byte(f.host(h)))
		if err != nil {
			return err
		}
		b.hosts = append(b.hosts, hostAt{at + len("host-"), h})
	}
	at, err := only(b.data, binary.AppendVarint(nil, renderedAt))
	b.times, b.varint = []int{at}, true
	return err
}

// only returns where part begins in data, which holds it once.
func only(data, part []byte) (int, error) {
	if n := bytes.Count(data, part); n != 1 {
		return 0, fmt.Errorf("a rendered batch holds %q %d times", part, n)
	}
	return bytes.Index(data, part), nil
}

// stamp makes b a post of the series from first on, a multiple of the batch, at ms, epoch
// milliseconds.
func (b *body) stamp(ms int64, first int) {
	var text [20]byte
	stamp := strconv.AppendInt(text[:0], ms, 10)
	if b.varint {
		stamp = binary.AppendVarint(text[:0], ms)
	}
	for _, at := range b.times {
		copy(b.data[at:], stamp)
	}
	base := first / perHost
	for _, h := range b.hosts {
		n := base + h.host
		for at := h.at + b.digits - 1; at >= h.at; at-- {
			b.data[at] = byte('0' + n%10)
			n /= 10
		}
	}
}
