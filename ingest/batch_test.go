package ingest_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
)

// Whatever batch is posted, with points of bad times among the good ones, or too large for one
// record: the good ones are stored on the shards of their series in their order, and the bad ones
// are named.
func TestPostBatches(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint("shards=", shards), func(t *testing.T) {
			r := newRig(t, shards, true, stream.Options{}, ingest.Options{})
			want := map[string][]point.Point{}
			posts := 0
			rapid.Check(t, func(rt *rapid.T) {
				posts++
				body, good, bad := drawBatch(rt, posts)
				status, answer := r.post(string(body), "Content-Type", point.ContentType)
				if wantStatus := 200; status != wantStatus && (good != nil || bad == 0) {
					rt.Fatalf("got %d %s", status, answer)
				}
				for _, p := range good {
					key := fmt.Sprint(p.Series)
					want[key] = append(want[key], p)
				}
			})
			got := map[string][]point.Point{}
			for _, p := range r.stored(t) {
				key := fmt.Sprint(p.Series)
				got[key] = append(got[key], p)
			}
			if len(got) != len(want) {
				t.Errorf("got %d series, want %d", len(got), len(want))
			}
			for key, points := range want {
				if g, w := fmt.Sprint(got[key]), fmt.Sprint(points); g != w {
					t.Fatalf("%s: got %.300s…, want %.300s…", key, g, w)
				}
			}
		})
	}
}

// drawBatch draws a batch, and the points of it that will be stored, by series. Its values tell
// posts apart.
func drawBatch(rt *rapid.T, post int) (body []byte, good []point.Point, bad int) {
	var b point.Builder
	var v point.View
	n := rapid.SampledFrom([]int{1, 5, 40, 300}).Draw(rt, "points")
	if post%50 == 0 {
		n = 40_000 // more than one record holds
	}
	many := rapid.SampledFrom([]int{1, 7}).Draw(rt, "series")
	lateEvery := rapid.SampledFrom([]int{0, 0, 3, 100}).Draw(rt, "bad")
	for i := range n {
		s := i % many
		p := point.Point{Time: noon - int64(i), Value: float64(post*100_000 + i)}
		p.Series = point.Series{Metric: "m", Type: point.Gauge, Labels: point.Labels{{Name: "host", Value: fmt.Sprint(s)}}}
		if s == 3 {
			p.Type, p.Value, p.Member = point.Set, 0, fmt.Sprint(post, i)
		}
		wrong := lateEvery > 0 && i%lateEvery == 1
		if wrong {
			p.Time = 5
			bad++
		} else {
			good = append(good, p)
		}
		v.Set(&p)
		b.Add(&v)
	}
	return slices.Clone(b.Encode(nil)), good, bad
}
