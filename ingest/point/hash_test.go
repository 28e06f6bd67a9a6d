package point_test

import (
	"testing"

	"freshet/ingest/point"
)

// The hash places series on shards: changing it would tear series apart.
func TestHashIsStable(t *testing.T) {
	for _, c := range []struct {
		series point.Series
		want   uint64
	}{
		{point.Series{Metric: "m", Type: point.Gauge}, 0x7e2021d417fb2715},
		{point.Series{Metric: "m", Type: point.Counter}, 0x4bdb550d4804db97},
		{point.Series{Metric: "m", Type: point.Gauge, Labels: labels("a", "b", "c", "d")}, 0x6e5ea28d6bb3d583},
	} {
		if got := point.HashOf(c.series); got != c.want {
			t.Errorf("HashOf(%v): got %#x, want %#x", c.series, got, c.want)
		}
	}
	a := point.HashOf(point.Series{Metric: "m", Type: point.Gauge, Labels: labels("a", "b")})
	b := point.HashOf(point.Series{Metric: "m", Type: point.Gauge, Labels: labels("b", "a")})
	if a == b {
		t.Error("name and value exchanged give the same hash")
	}
}
