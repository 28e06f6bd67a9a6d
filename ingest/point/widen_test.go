package point_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

// A widener copies a batch and writes the numbers of its series and columns with more bytes than
// they need, which the decoder must read, but not in the way that it reads short ones.
type widener struct {
	in, out []byte
	bad     bool
}

func (w *widener) number() uint64 {
	v, n := binary.Uvarint(w.in)
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.in = w.in[n:]
	return v
}

func (w *widener) copy(n uint64) {
	if n > uint64(len(w.in)) {
		w.bad = true
		return
	}
	w.out, w.in = append(w.out, w.in[:n]...), w.in[n:]
}

// same copies a number, wide writes it with three bytes or more.
func (w *widener) same() uint64 {
	v := w.number()
	w.out = binary.AppendUvarint(w.out, v)
	return v
}

func (w *widener) wide() uint64 {
	v := w.number()
	w.out = binary.AppendUvarint(w.out, v)
	for n := uvarintLen(v); n < 3; n++ {
		w.out[len(w.out)-1] |= 0x80
		w.out = append(w.out, 0)
	}
	return v
}

func uvarintLen(v uint64) int { return len(binary.AppendUvarint(nil, v)) }

func (w *widener) byte() byte {
	w.copy(1)
	if w.bad {
		return 0
	}
	return w.out[len(w.out)-1]
}

// widen returns the batch with wide numbers, false if it makes no sense of it.
func widen(payload []byte) ([]byte, bool) {
	w := &widener{in: payload}
	w.byte()
	if w.byte() == 2 {
		w.copy(16)
		w.same()
		w.same()
	}
	symbols, series, points := w.same(), w.same(), w.same()
	text := uint64(0)
	for i := uint64(0); i < symbols && !w.bad; i++ {
		text += w.same()
	}
	w.copy(text)
	values := points
	for i := uint64(0); i < series && !w.bad; i++ {
		w.wide()
		kind := w.wide()
		for j := uint64(0); j < 2*(kind>>3) && !w.bad; j++ {
			w.wide()
		}
		if n := w.wide(); kind&7 == uint64(point.Set) {
			values -= n
		}
	}
	if w.byte() == 0 {
		w.same()
	} else {
		w.numbers(points)
	}
	if how := w.byte(); how == 2 || how == 3 {
		w.byte()
		w.same()
		w.numbers(values)
	}
	return append(w.out, w.in...), !w.bad
}

func (w *widener) numbers(n uint64) {
	for i := uint64(0); i < n && !w.bad; i++ {
		w.wide()
	}
}

// However long numbers are written, a batch means the same.
func TestDecodeWideNumbers(t *testing.T) {
	var b point.Batch
	rapid.Check(t, func(rt *rapid.T) {
		payload := encode(genPoints().Draw(rt, "points"))
		want := decode(t, payload)
		wide, ok := widen(payload)
		if !ok {
			rt.Fatalf("cannot widen %q", payload)
		}
		if err := b.Decode(wide); err != nil {
			rt.Fatalf("wide numbers: %v", err)
		}
		if d := diff(points(t, &b), want); d != "" {
			rt.Fatal(d)
		}
	})
}

// Symbols have numbers of one, two and three bytes.
func TestDecodeManySymbols(t *testing.T) {
	var in []point.Point
	for i := range 20_000 {
		in = append(in, gauge(float64(i), "id", fmt.Sprint(i)))
	}
	if d := diff(decode(t, encode(in)), in); d != "" {
		t.Fatal(d)
	}
}
