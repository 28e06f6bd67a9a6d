package point_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

// Times are read as the numbers that they are, however they are written and whatever follows.
func TestScanTimes(t *testing.T) {
	var s point.Scanner
	var v point.View
	rapid.Check(t, func(rt *rapid.T) {
		ts := rapid.OneOf(rapid.Int64Range(1e12, 9_999_999_999_999), rapid.Int64Range(0, 1<<53), rapid.SampledFrom([]int64{1e12, 1e13, 9_999_999_999_999, 999_999_999_999, 1_234_567_890_123})).Draw(rt, "ts")
		text := strconv.FormatInt(ts, 10)
		form := rapid.SampledFrom([]string{`{"metric":"m","value":1,"ts":%s}`, `{"ts":%s,"metric":"m","value":1}`, `{"ts":%s }`, `{"ts":%s.75,"metric":"m","value":1}`, `{"ts":%se0,"metric":"m","value":1}`}).Draw(rt, "form")
		if strings.Contains(form, ".75") && ts > 1<<50 {
			rt.Skip("a float64 has no room for the fraction")
		}
		s.Reset(fmt.Appendf(nil, form, text), noon)
		_ = s.Next(&v) // the one form lacks a metric
		if v.Time != ts {
			rt.Fatalf("%s: got %d, want %d", fmt.Sprintf(form, text), v.Time, ts)
		}
		// A byte that is no digit, anywhere.
		at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
		c := rapid.SampledFrom([]byte{'/', ':', 'x', '"', '@', 0xb5, 'A'}).Draw(rt, "byte")
		bad := text[:at] + string(c) + text[at+1:]
		s.Reset([]byte(`[{"metric":"m","value":1,"ts":`+bad+`}]`), noon)
		if err := s.Next(&v); err == nil {
			rt.Fatalf("ts %q: got %d, want an error", bad, v.Time)
		}
	})
}
