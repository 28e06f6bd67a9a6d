package point

import (
	"fmt"
	"strings"
)

// A Batch is a decoded batch: points by series in columns. The zero Batch is empty and
// ready, and Decode reuses the memory of what was decoded before.
//
// It aliases the payload that it was decoded from, and is valid for as long as that is.
type Batch struct {
	// Runs are the series of the batch with their points. A series is there once in a
	// batch written by a Builder; other writers may have it several times.
	Runs []Run
	Mark Mark

	// The columns, in the order of the runs.
	Time  []int64   // epoch milliseconds
	Value []float64 // 0 for a point of a set

	text     []byte   // the payload
	serial   uint32   // of what was decoded
	symbols  []symbol // the symbol table
	labels   []uint32 // pairs of symbols: name, value
	member   []span   // for each point, once there is a set; else empty
	ints     []int64  // scratch: the integers of a decimal column
	rejected int      // by DecodeRecord
	reject   error
	marked   int        // bytes of text that are magic, version and mark
	whole    bool       // the runs are all of text
	enc      *encoder   // made by EncodeRuns
	json     *jsonBatch // made when a payload is JSON
}

// A Run is the points of one series in a batch: Time[First : First+N] and so on.
type Run struct {
	Hash   uint64 // HashOf the series
	Metric uint32 // symbol
	label  uint32 // index of its first label in Batch.labels, pairs counted
	First  int32
	N      int32
	labels uint8
	Type   Type
}

// Labels returns how many labels the series has.
func (r *Run) Labels() int { return int(r.labels) }

// A symbol is a string of a batch.
type symbol struct {
	span
	hash uint64
	kind uint8 // what it may be used as
}

// A span is a part of the payload.
type span struct{ start, end uint32 }

// Len returns how many points there are.
func (b *Batch) Len() int { return len(b.Time) }

// NumSymbols returns how many symbols there are.
func (b *Batch) NumSymbols() int { return len(b.symbols) }

// Symbol returns the string with a number, from 0. It aliases the payload.
func (b *Batch) Symbol(id uint32) []byte {
	s := b.symbols[id]
	return b.text[s.start:s.end:s.end]
}

// Metric returns the metric of a run. It aliases the payload.
func (b *Batch) Metric(run int) []byte { return b.Symbol(b.Runs[run].Metric) }

// LabelSymbols returns the symbols of name and value of the label i of a run. Labels are
// in order of name.
func (b *Batch) LabelSymbols(run, i int) (name, value uint32) {
	at := 2 * (int(b.Runs[run].label) + i)
	return b.labels[at], b.labels[at+1]
}

// Label returns name and value of the label i of a run. They alias the payload.
func (b *Batch) Label(run, i int) (name, value []byte) {
	n, v := b.LabelSymbols(run, i)
	return b.Symbol(n), b.Symbol(v)
}

// Member returns the member of a point of a set, and nothing for other points. point
// counts as in Time. It aliases the payload.
func (b *Batch) Member(point int) []byte {
	if len(b.member) == 0 {
		return nil
	}
	s := b.member[point]
	return b.text[s.start:s.end:s.end]
}

// Series returns a copy of the series of a run. It takes two allocations.
func (b *Batch) Series(run int) Series {
	r := &b.Runs[run]
	size := len(b.Metric(run))
	for i := range r.Labels() {
		name, value := b.Label(run, i)
		size += len(name) + len(value)
	}
	var text strings.Builder
	text.Grow(size)
	text.Write(b.Metric(run))
	for i := range r.Labels() {
		name, value := b.Label(run, i)
		text.Write(name)
		text.Write(value)
	}
	rest := text.String()
	cut := func(n int) (s string) { s, rest = rest[:n], rest[n:]; return s }
	s := Series{Metric: cut(len(b.Metric(run))), Type: r.Type}
	if r.labels == 0 {
		return s
	}
	s.Labels = make(Labels, r.labels)
	for i := range s.Labels {
		name, value := b.Label(run, i)
		s.Labels[i] = Label{Name: cut(len(name)), Value: cut(len(value))}
	}
	return s
}

// Is reports whether the series of a run is s.
func (b *Batch) Is(run int, s *Series) bool {
	r := &b.Runs[run]
	if r.Type != s.Type || r.Labels() != len(s.Labels) || string(b.Metric(run)) != s.Metric {
		return false
	}
	for i := range s.Labels {
		name, value := b.Label(run, i)
		if string(name) != s.Labels[i].Name || string(value) != s.Labels[i].Value {
			return false
		}
	}
	return true
}

// View makes v the view of a point of a run, both counted in the whole batch.
func (b *Batch) View(run, point int, v *View) {
	r := &b.Runs[run]
	labels := v.Labels[:0]
	for i := range r.Labels() {
		name, value := b.Label(run, i)
		labels = append(labels, LabelView{name, value})
	}
	*v = View{
		Metric: b.Metric(run), Type: r.Type, Labels: labels,
		Time: b.Time[point], Value: b.Value[point], Member: b.Member(point),
	}
}

// A Malformed error says why a payload is no batch.
type Malformed struct {
	Offset int // where in the payload
	Reason string
}

// Error names place and reason.
func (e *Malformed) Error() string {
	return fmt.Sprintf("malformed batch at byte %d: %s", e.Offset, e.Reason)
}

// Reset makes b empty and keeps its memory.
func (b *Batch) Reset() {
	b.Runs, b.Time, b.Value = b.Runs[:0], b.Time[:0], b.Value[:0]
	b.text, b.symbols, b.labels, b.member = nil, b.symbols[:0], b.labels[:0], b.member[:0]
	b.rejected, b.reject, b.Mark = 0, nil, Mark{}
	b.serial++
	b.whole = false
}

// Size returns the length of the payload that b was decoded from, in bytes.
func (b *Batch) Size() int { return len(b.text) }
