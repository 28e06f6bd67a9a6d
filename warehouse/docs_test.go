package warehouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freshet/ingest/point"
	"freshet/warehouse"
)

// site returns points of the metrics that the examples of docs/warehouse.md ask for.
func site() []point.Point {
	rng := rand.New(rand.NewPCG(1, 1))
	add := func(metric string, t point.Type, at int64, value float64, labels ...string) point.Point {
		p := point.Point{Series: point.Series{Metric: metric, Type: t}, Time: at, Value: value}
		for i := 0; i < len(labels); i += 2 {
			p.Labels = append(p.Labels, point.Label{Name: labels[i], Value: labels[i+1]})
		}
		return p
	}
	var out []point.Point
	total := map[string]float64{}
	for i := range 2000 {
		at := base + int64(i)*4000
		host := string(rune('a' + i%3))
		out = append(out,
			add("http.request.duration", point.Distribution, at, math.Round(rng.ExpFloat64()*1000)/8, "host", host, "route", fmt.Sprint("/", i%2)),
			add("requests", point.Counter, at, 1, "host", host),
			add("cpu", point.Gauge, at, float64(i%8)/8, "host", host))
		if total[host] += float64(rng.IntN(100)); i%500 < 3 {
			total[host] = 0
		}
		out = append(out, add("disk.read.bytes", point.Cumulative, at, total[host], "host", host))
		visitor := add("visitors", point.Set, at, 0, "page", fmt.Sprint("/", i%4))
		visitor.Member = fmt.Sprint(rng.IntN(150))
		out = append(out, visitor)
	}
	return out
}

// Every example of the page runs, finds something, and says the same of what is pending,
// loaded in parts, and compacted.
func TestExamplesOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "warehouse.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, part := range strings.Split(string(page), "```sql\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		examples = append(examples, text)
	}
	if len(examples) < 10 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	points := site()
	l.post(t, points[:len(points)/2]...)
	l.post(t, points[len(points)/2:]...)
	want := make([]string, len(examples))
	for i, sql := range examples {
		if want[i] = l.query(t, sql); want[i] == "[]" {
			t.Errorf("nothing comes of\n%s", sql)
		}
	}
	check := func(l *line, when string) {
		t.Helper()
		for i, sql := range examples {
			if got := l.query(t, sql); got != want[i] {
				t.Errorf("%s:\n%s\ngot  %s\nwant %s", when, sql, got, want[i])
			}
		}
	}
	l.load(t)
	check(l, "loaded")
	parts := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	for i := range 5 {
		parts.post(t, points[i*len(points)/5:(i+1)*len(points)/5]...)
		if i < 4 {
			parts.load(t)
		}
	}
	check(parts, "loaded in parts, the last pending")
	parts.load(t)
	if err := parts.store.Upkeep(warehouse.UpkeepOptions{Now: later}).Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(parts, "compacted")
}

// What the functions of SQL say is what the points come to.
func TestFunctionsOfSQL(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	total := point.Series{Metric: "u", Type: point.Cumulative}
	seen := point.Series{Metric: "s", Type: point.Set}
	took := point.Series{Metric: "d", Type: point.Distribution}
	for i, x := range []float64{10, 30, 5, 25, 40, 2, 12} { // rises by 20, 5, 20, 15, 2 and 10: 72 in 180 s
		l.post(t, point.Point{Series: total, Time: base + int64(i)*30_000, Value: x})
	}
	for i := range 100 {
		l.post(t, point.Point{Series: took, Time: base + int64(i)*1000, Value: float64(i + 1)}, point.Point{Series: seen, Time: base + int64(i)*1000, Member: fmt.Sprint(i % 30)})
	}
	for _, when := range []string{"pending", "loaded"} {
		for _, c := range []struct{ sql, want string }{
			{"SELECT increase(first_at, first, last_at, last, resets), rate(first_at, first, last_at, last, resets) FROM %s WHERE metric = 'u'", "[[72 0.4]]"},
			{"SELECT distinct_count(members) FROM %s WHERE metric = 's'", "[[30]]"},
			{"SELECT distinct_count(m) FROM (SELECT merge_members(members) AS m FROM %s WHERE metric = 's' GROUP BY start)", "[[30]]"},
			{"SELECT abs(p(sketch, 0.9) / 90 - 1) < 0.011, abs(p(sketch, 0) - 1) < 0.011 FROM %s WHERE metric = 'd'", "[[true true]]"},
			{"SELECT p(sketch, 0.5) IS NULL, distinct_count(members) FROM %s WHERE metric = 'u'", "[[true 0]]"},
			{"SELECT rate(sum, 505) FROM %s WHERE metric = 'd'", "[[10]]"},
		} {
			for _, view := range []string{"windows_1s", "windows_1m", "windows_1h", "windows_1d"} {
				sql := fmt.Sprintf(c.sql, view)
				if got := l.query(t, sql); got != c.want {
					t.Errorf("%s: %s: got %s, want %s", when, sql, got, c.want)
				}
			}
		}
		l.load(t)
	}
	if _, err := rowsOf(l.sql, "SELECT p(sketch, 90) FROM windows_1m WHERE metric = 'd'"); err == nil || !strings.Contains(err.Error(), "the quantile is 90; it must lie between 0 and 1") {
		t.Errorf("a quantile of 90: %v", err)
	}
	if _, err := rowsOf(l.sql, "SELECT p('damaged'::BLOB, 0.9)"); err == nil || !strings.Contains(err.Error(), "damaged sketch") {
		t.Errorf("a damaged sketch: %v", err)
	}
}
