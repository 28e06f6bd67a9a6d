package aggregate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"freshet/aggregate"
	"freshet/ingest/point"
)

func TestFiltersAreReadAndWritten(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`"a"`, `"a"`},
		{`["a"]`, `"a"`},
		{`["a","b"]`, `["a","b"]`},
		{`[]`, `[]`},
		{`{"in":["a","b"]}`, `["a","b"]`},
		{`{"in":"a"}`, `"a"`},
		{`{"not":"a"}`, `{"not":"a"}`},
		{`{"not":["a","b"],"prefix":""}`, `{"not":["a","b"],"prefix":""}`},
		{`{"regex":"a|b","not_regex":"c.*","in":[]}`, `{"in":[],"regex":"a|b","not_regex":"c.*"}`},
		{`5`, "a string or an array of strings"},
		{`null`, "a string or an array of strings"},
		{`[5]`, "a string or an array of strings"},
		{`{}`, "none of in, not, prefix, regex and not_regex"},
		{`{"rexeg":"a"}`, `unknown field "rexeg"`},
		{`{"not":5}`, "cannot unmarshal number"},
	} {
		var f aggregate.Filter
		err := json.Unmarshal([]byte(c.text), &f)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", c.text, err, c.want)
			}
			continue
		}
		if got, err := json.Marshal(f); string(got) != c.want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", c.text, got, err, c.want)
		}
	}
}

func TestRefusedFiltersNameLabelAndLimit(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	for _, c := range []struct{ where, want string }{
		{`{"host":{"regex":"a("}}`, "where.host.regex \"a(\": missing closing )"},
		{`{"host":{"not_regex":"a)|(b"}}`, "where.host.not_regex \"a)|(b\": unexpected )"},
		{`{"host":{"regex":"` + strings.Repeat("a", 1001) + `"}}`, "where.host.regex has 1001 bytes; the limit is 1000"},
		{`{"host":{"regex":"((a{100}){100}){100}"}}`, "invalid repeat count"},
	} {
		q, err := aggregate.ParseQuery([]byte(`{"metric":"m","agg":"sum","range":"1m","where":` + c.where + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = l.engine.Query(context.Background(), q); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %q", c.where, err, c.want)
		}
	}
	many := map[string]aggregate.Filter{}
	for i := range 33 {
		many[fmt.Sprint(i)] = aggregate.Is("a")
	}
	_, err := l.engine.Plan(aggregate.Query{Metric: "m", Agg: "sum", Range: "1m", Where: many})
	if want := "where has 33 labels; the limit is 32"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// passes is what a filter means, spelled out.
func passes(f aggregate.Filter, value string) bool {
	whole := func(pattern string) bool { return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(value) }
	return (f.In == nil || slices.Contains(f.In, value)) && !slices.Contains(f.Not, value) &&
		(f.Prefix == nil || strings.HasPrefix(value, *f.Prefix)) &&
		(f.Regex == nil || whole(*f.Regex)) && (f.NotRegex == nil || !whole(*f.NotRegex))
}

func drawFilter(t *rapid.T, values []string) aggregate.Filter {
	some := rapid.SliceOfN(rapid.SampledFrom(append([]string{"nobody"}, values...)), 0, 3)
	text := func(of ...string) *string { s := rapid.SampledFrom(of).Draw(t, "text"); return &s }
	var f aggregate.Filter
	for f.In == nil && f.Not == nil && f.Prefix == nil && f.Regex == nil && f.NotRegex == nil {
		if rapid.Bool().Draw(t, "in") {
			f.In = append([]string{}, some.Draw(t, "values")...)
		}
		if rapid.Bool().Draw(t, "not") {
			f.Not = append([]string{}, some.Draw(t, "values")...)
		}
		if rapid.IntRange(0, 3).Draw(t, "prefix") == 0 {
			f.Prefix = text("", "a", "ab", "b")
		}
		if rapid.IntRange(0, 2).Draw(t, "regex") == 0 {
			f.Regex = text("a.*", "a|b", "", "[^a]*", ".", "ab?c?")
		}
		if rapid.IntRange(0, 3).Draw(t, "not regex") == 0 {
			f.NotRegex = text("b.*", "a|ab", "")
		}
	}
	return f
}

// Any filters over any labels find what looking at every series finds, by plans made
// before the series came and after.
func TestFiltersAgainstBruteForce(t *testing.T) {
	names, values := []string{"x", "y", "z"}, []string{"", "a", "b", "ab", "abc", "c"}
	l := newLab(t, aggregate.Options{MaxSeries: 1 << 20})
	world := 0
	rapid.Check(t, func(t *rapid.T) {
		metric := fmt.Sprint("m", world)
		world++
		q := aggregate.Query{Metric: metric, Agg: "sum", Range: "10m", Step: "1h", Where: map[string]aggregate.Filter{}}
		for _, name := range names {
			if rapid.Bool().Draw(t, "where "+name) {
				q.Where[name] = drawFilter(t, values)
			}
			if rapid.Bool().Draw(t, "by "+name) {
				q.By = append(q.By, name)
			}
		}
		early, err := l.engine.Plan(q)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(1, 25).Draw(t, "points") {
				p := at(metric, point.Gauge, "", 0, 1)
				for _, name := range names {
					if v := rapid.SampledFrom(values).Draw(t, name); v != "" {
						p.Labels = append(p.Labels, point.Label{Name: name, Value: v})
					}
				}
				if rapid.IntRange(0, 9).Draw(t, "another type") == 0 && len(want) > 0 {
					p.Type = point.Counter // of another type than the first: it does not count
					l.settle()             // shards fold side by side: that the first came first has to be seen
				}
				l.send(p)
				if all := slices.Collect(maps.Keys(q.Where)); p.Type == point.Gauge && !slices.ContainsFunc(all, func(name string) bool { return !passes(q.Where[name], p.Labels.Get(name)) }) {
					labels := map[string]string{}
					for _, name := range q.By {
						labels[name] = p.Labels.Get(name)
					}
					want[fmt.Sprint(labels)]++
				} else if len(want) == 0 && p.Type == point.Gauge {
					want["none"] = 0 // the metric has its type
				}
			}
			delete(want, "none")
			late, err := l.engine.Plan(q)
			if err != nil {
				t.Fatal(err)
			}
			for name, plan := range map[string]*aggregate.Plan{"early": early, "late": late} {
				v, err := l.engine.View(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				from, to := plan.Steps(v.Now())
				a, err := plan.Evaluate(context.Background(), v, from, to)
				v.Close()
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]float64{}
				for _, s := range a.Series {
					got[fmt.Sprint(s.Labels)] = s.Values[0]
				}
				if !maps.Equal(got, want) {
					t.Fatalf("%s: %+v: got %v, want %v", name, q.Where, got, want)
				}
			}
		}
	})
}
