package bench_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"freshet/cmd/freshet/bench"
	"freshet/ingest/point"
)

// decoded returns the points of bodies as lines, in order.
func decoded(t *testing.T, bodies [][]byte, arrived int64) (lines []string, sum float64) {
	t.Helper()
	var b point.Batch
	var v point.View
	for _, data := range bodies {
		if err := b.DecodeRecord(data, arrived); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Rejected(); n > 0 {
			t.Fatalf("%d points refused: %v", n, err)
		}
		for r := range b.Runs {
			for i := int(b.Runs[r].First); i < int(b.Runs[r].First+b.Runs[r].N); i++ {
				b.View(r, i, &v)
				lines = append(lines, fmt.Sprintf("%s %v %d %v %s", v.Metric, v.Type, b.Time[i], b.Value[i], v.Labels))
				sum += b.Value[i]
			}
		}
	}
	slices.Sort(lines)
	return lines, sum
}

func TestBodiesArePatchedToAllSeriesAndTimes(t *testing.T) {
	const now = 1_795_602_000_123
	for _, whole := range []bool{false, true} {
		want, _ := decoded(t, [][]byte{[]byte(expected(2000, whole, now))}, now)
		for _, codec := range []string{"json", "batch"} {
			for _, batch := range []int{500, 1000, 2000} {
				bodies, posted, err := bench.Bodies(codec, "gauge", 2000, batch, whole, now)
				if err != nil {
					t.Fatal(err)
				}
				got, sum := decoded(t, bodies, now)
				name := fmt.Sprintf("%s of %d, whole %v", codec, batch, whole)
				if len(got) != 2000 || len(slices.Compact(labels(got))) != 2000 {
					t.Errorf("%s: got %d points of %d series, want 2000 of 2000", name, len(got), len(slices.Compact(labels(got))))
				}
				if batch == 2000 && !slices.Equal(got, want) {
					t.Errorf("%s: got %q …, want %q …", name, got[:2], want[:2])
				}
				if diff := sum - posted; diff > 1e-6 || diff < -1e-6 || whole && diff != 0 {
					t.Errorf("%s: got a sum of %v, want %v", name, sum, posted)
				}
			}
		}
	}
}

// expected writes all series at once, without patching anything.
func expected(series int, whole bool, ms int64) string {
	var b strings.Builder
	for i := range series {
		value := fmt.Sprintf("%d.%02d", (i+31)%97, (i+1)%89)
		if whole {
			value = fmt.Sprint((i + 31) % 997)
		}
		fmt.Fprintf(&b, `{"metric":"m","ts":%d,"value":%s,"labels":{"host":"host-%03d","region":"eu-%d","route":"/api/v1/r%02d"}}`+"\n",
			ms, value, i/20, i%4, i%100)
	}
	return b.String()
}

// labels returns what is left of lines without times and values.
func labels(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		fields := strings.SplitN(l, " ", 5)
		out[i] = fields[4]
	}
	slices.Sort(out)
	return out
}

func TestSizesThatBodiesCannotHave(t *testing.T) {
	for _, c := range []struct {
		series, batch int
		want          string
	}{
		{2000, 150, "--batch 150 is not a multiple of 100"},
		{2000, 0, "--batch 0 is not a multiple of 100"},
		{2100, 500, "--series 2100 is not a multiple of the 500 points of a post"},
		{100, 500, "--series 100 is not a multiple of the 500 points of a post"},
	} {
		if _, _, err := bench.Bodies("json", "gauge", c.series, c.batch, false, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d series, %d points a post: got %v, want %s", c.series, c.batch, err, c.want)
		}
	}
}
