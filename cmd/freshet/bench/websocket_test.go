package bench_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/cmd/freshet/bench"
)

// frame writes a frame as a server does.
func frame(op byte, payload string) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestFramesWhereverTheyAreCut(t *testing.T) {
	var all []byte
	var want []string
	for _, n := range []int{0, 1, 125, 126, 127, 300, 65535, 65536, 70000} {
		payload := strings.Repeat("x", n)
		all = append(all, frame(1, payload)...)
		want = append(want, fmt.Sprint(1, n))
	}
	all = append(all, frame(9, "ping")...)
	want = append(want, "9 4")
	for _, size := range []int{1, 7, 200, 4096, len(all)} {
		var got []string
		var rest []byte
		for chunk := range slices.Chunk(all, size) {
			rest = append(rest, chunk...)
			taken, err := bench.Frames(rest, func(op byte, payload []byte) error {
				got = append(got, fmt.Sprint(op, len(payload)))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[taken:]
		}
		if !slices.Equal(got, want) || len(rest) > 0 {
			t.Errorf("in chunks of %d: got %v and %d bytes more, want %v", size, got, len(rest), want)
		}
	}
}

func TestFramesThatNoServerSends(t *testing.T) {
	for _, data := range [][]byte{bench.Masked(nil, 1, []byte("x")), {0x01, 0x00}, {0xC1, 0x00}} {
		if _, err := bench.Frames(data, func(byte, []byte) error { return nil }); err == nil {
			t.Errorf("% x was taken", data)
		}
	}
}

func TestMaskedHasItsLength(t *testing.T) {
	for n, head := range map[int]int{0: 6, 125: 6, 126: 8, 40000: 8} {
		got := bench.Masked(nil, 1, bytes.Repeat([]byte("x"), n))
		if len(got) != head+n || got[0] != 0x81 || got[1]&0x80 == 0 {
			t.Errorf("%d bytes: got %d beginning with % x, want %d", n, len(got), got[:2], head+n)
		}
	}
}

func TestFrameID(t *testing.T) {
	for text, want := range map[string]string{
		`{"op":"update","id":"p17","seq":4,"times":[]}`:      "17 true",
		`{"op":"snapshot","id":"p0","seq":4,"step_ms":1000}`: "0 true",
		`{"op":"error","id":"p3","error":"no such metric"}`:  "0 false",
		`{"op":"update","id":"other","seq":4,"times":[1,2]}`: "0 false",
		`{"op":"update"`: "0 false",
		``:               "0 false",
	} {
		n, ok := bench.FrameID([]byte(text))
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestLastValue(t *testing.T) {
	for text, want := range map[string]string{
		`{"series":[{"labels":{},"values":[1,22]},{"labels":{},"values":[3]}]}`: "22 true",
		`{"values":[5,null,null]}`: "5 true",
		`{"values":[7]}`:           "7 true",
		`{"values":[null]}`:        "0 false",
		`{"values":[]}`:            "0 false",
		`{"values":[1.5,null]}`:    "0 false",
		`{"op":"error"}`:           "0 false",
	} {
		n, ok := bench.LastValue([]byte(text))
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var d []time.Duration
	for i := range 101 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 50, 0.99: 99, 1: 100} {
		if got := bench.Quantile(d, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if got := bench.Quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing: got %v, want 0", got)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.2345: "1.23", 999: "999", 1000: "1,000", 1234567.8: "1,234,568"} {
		if got := bench.Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
