package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"freshet/ingest/pipeline"
)

// TestDefinitionsThatCannotBe looks that an error names the field and the value.
func TestDefinitionsThatCannotBe(t *testing.T) {
	const output = "[[output]]\nmetric = \"m\"\nvalue = 1\n"
	for _, c := range []struct{ name, text, want string }{
		{"no TOML", "stream = ", "line 1, column 9: "},
		{"no stream", output, `stream: must be the name of a stream: 1 to 128 letters, digits and _ . -, got ""`},
		{"bad name", "name = \"a/b\"\nstream = \"s\"\n" + output, `name: must be 1 to 64 letters, digits and _ . -, got "a/b"`},
		{"no output", "stream = \"s\"", "output: there must be 1 to 32, got 0"},
		{"misspelt", "stream = \"s\"\nfilters = \"x\"\n" + output, "filters: there is no such field; there are "},
		{"misspelt within", "stream = \"s\"\n" + output + "vlaue = 2", "output[0].vlaue: there is no such field; there are "},
		{"another type", "stream = 5\n" + output, "stream: must be a string, got 5"},
		{"no table", "stream = \"s\"\noutput = \"m\"", `output: must be an array of tables, written [[output]], got the string "m"`},
		{"decode", "stream = \"s\"\ndecode = \"xml\"\n" + output, `decode: must be one of json, ndjson, csv, logfmt, text, raw, points, got "xml"`},
		{"csv without columns", "stream = \"s\"\ndecode = \"csv\"\n" + output, "csv.columns: name the columns, or set header = true"},
		{"csv twice", "stream = \"s\"\ndecode = \"csv\"\ncsv.columns = [\"a\", \"a\"]\n" + output, `csv.columns: "a" is there twice`},
		{"csv delimiter", "stream = \"s\"\ndecode = \"csv\"\ncsv.header = true\ncsv.delimiter = \"ab\"\n" + output, `csv.delimiter: must be one character`},
		{"csv of json", "stream = \"s\"\ncsv.header = true\n" + output, `csv: goes with decode = "csv", not "json"`},
		{"pattern", "stream = \"s\"\ndecode = \"text\"\ntext.pattern = \"(\"\n" + output, "text.pattern: error parsing regexp"},
		{"pattern without names", "stream = \"s\"\ndecode = \"text\"\ntext.pattern = \"a\"\n" + output, "text.pattern: has no named group"},
		{"start", "stream = \"s\"\nstart = \"now\"\n" + output, `start: must be one of oldest, latest, got "now"`},
		{"shards", "stream = \"s\"\nshards = 1000\n" + output, "shards: must be a whole number from 0 to 256, got 1000"},
		{"filter", "stream = \"s\"\nfilter = \"a ==\"\n" + output, `filter: the expression "a ==": unexpected token EOF (1:4)`},
		{"empty filter", "stream = \"s\"\nfilter = \" \"\n" + output, "filter: the expression is empty"},
		{"function", "stream = \"s\"\nfilter = \"host(url) == 'a'\"\n" + output, `filter: the expression "host(url) == 'a'": there is no function host`},
		{"long", "stream = \"s\"\nfilter = \"" + strings.Repeat("a", 4097) + "\"\n" + output, "has 4097 bytes, at most 4096 are allowed"},
		{"many nodes", "stream = \"s\"\nfilter = \"" + strings.Repeat("a+", 1000) + "a\"\n" + output, "exceeds maximum allowed nodes"},
		{"let", "stream = \"s\"\nlet.a = \"b\"\nlet.b = \"c.a + a\"\n" + output, "let.a: it is made of itself, by way of others or not"},
		{"let name", "stream = \"s\"\nlet.\"a-b\" = \"b\"\n" + output, "let.a-b: a name is a letter or _"},
		{"no metric", "stream = \"s\"\n[[output]]\nvalue = 1", "output[0].metric: an output has a metric, or the stream that it goes to"},
		{"type", "stream = \"s\"\n" + output + "type = \"sum\"", `output[0].type: must be gauge, counter, cumulative, distribution or set, got the string "sum"`},
		{"no value", "stream = \"s\"\n[[output]]\nmetric = \"m\"", "output[0].value: a gauge, which a point is that has no type, has a value"},
		{"no member", "stream = \"s\"\n[[output]]\nmetric = \"m\"\ntype = \"set\"", "output[0].value: a set has a value"},
		{"label", "stream = \"s\"\n" + output + "labels.country = \"geo.\"", `output[0].labels.country: the expression "geo."`},
		{"label of both", "stream = \"s\"\n" + output + "labels.x = { expr = \"a\", literal = \"b\" }", "output[0].labels.x: a table holds either expr or literal"},
		{"unit", "stream = \"s\"\n" + output + "ts_unit = \"h\"", `output[0].ts_unit: must be one of auto, s, ms, us, ns, got "h"`},
		{"format", "stream = \"s\"\n" + output + "ts_format = \"%Q\"", `output[0].ts_format: "%Q": there is no %Q`},
		{"format of nothing", "stream = \"s\"\n" + output + "ts_format = \"date\"", `output[0].ts_format: "date" says no part of a time`},
		{"zone", "stream = \"s\"\n" + output + "ts_zone = \"Mars\"", `output[0].ts_zone: there is no time zone "Mars"`},
		{"as without each", "stream = \"s\"\n" + output + "as = \"x\"", "output[0].as: goes with each"},
		{"a metric and a stream", "stream = \"s\"\n" + output + "stream = \"t\"", "output[0].metric: there is no such field; there are "},
		{"several and more", "stream = \"s\"\n[[pipeline]]\nstream = \"s\"", "pipeline: a file holds one pipeline, or an array of them"},
		{"in one of several", "[[pipeline]]\nname = \"a\"\nstream = \"s\"", "pipeline[0]: output: there must be 1 to 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, err := pipeline.Read([]byte(c.text), "test")
			if err == nil {
				_, err = pipeline.Compile(all[0])
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

// TestJSONDefinition looks that a definition is the same in JSON as in TOML, also when it
// is read from what it shows of itself.
func TestJSONDefinition(t *testing.T) {
	toml := "name = \"n\"\nstream = \"s\"\nshards = 2\n[[output]]\nmetric = \"m\"\nvalue = 2.5\nts = 1772625600\nlabels.a = true\n"
	all, err := pipeline.Read([]byte(toml), "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := pipeline.Parse(all[0].JSON(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(all, again) {
		p, err := pipeline.Compile(d)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%+v", p.Machine().Try(&pipeline.Input{Data: []byte("{}"), Arrived: arrived}).Points)
		if want := "[{Metric:m Type:gauge TS:1772625600000 Value:2.5 Labels:map[a:true]}]"; got != want || d.Name != "n" || d.Shards != 2 {
			t.Errorf("got %s of %s with %d shards, want %s of n with 2", got, d.Name, d.Shards, want)
		}
	}
	for text, want := range map[string]string{
		`[]`:                     "the definition is not a JSON object",
		`{"stream":"s"} x`:       "there is more behind it",
		`{"stream":"s","let":1}`: "let: must be a table, got 1",
	} {
		if _, err := pipeline.Parse([]byte(text), "n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", text, err, want)
		}
	}
}

// TestBounds looks that one record cannot make more than it may.
func TestBounds(t *testing.T) {
	each := compile(t, "stream = \"s\"\n[[output]]\neach = \"1..20000\"\nmetric = \"m\"\nvalue = \"item\"").Machine()
	got := each.Try(&pipeline.Input{Data: []byte("{}"), Arrived: arrived})
	if len(got.Points) != pipeline.MaxMade || len(got.Errors) != 1 {
		t.Errorf("a range: got %d points and %d errors, want %d and 1", len(got.Points), len(got.Errors), pipeline.MaxMade)
	}
	each = compile(t, "stream = \"s\"\n[[output]]\neach = \"list\"\nmetric = \"m\"\nvalue = \"item\"").Machine()
	got = each.Try(&pipeline.Input{Data: []byte(`{"list":[` + strings.Repeat("1,", 20_000) + `1]}`), Arrived: arrived})
	if len(got.Points) != pipeline.MaxMade || len(got.Errors) != 1 {
		t.Errorf("elements: got %d points and %d errors, want %d and 1", len(got.Points), len(got.Errors), pipeline.MaxMade)
	}
	lines := compile(t, "stream = \"s\"\ndecode = \"text\"\n[[output]]\nfilter = \"false\"\nmetric = \"m\"\nvalue = 1").Machine()
	got = lines.Try(&pipeline.Input{Data: []byte(strings.Repeat("x\n", 20_000)), Arrived: arrived})
	if len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Reason, "more than 10000 events") {
		t.Errorf("events: got %v", got.Errors)
	}
	wide := compile(t, "stream = \"s\"\ndecode = \"json\"\n[[output]]\nstream = \"t\"\neach = \"list\"\nrecord = \"text\"").Machine()
	text := strings.Repeat("x", 100_000)
	got = wide.Try(&pipeline.Input{Data: []byte(`{"text":"` + text + `","list":[` + strings.Repeat("1,", 100) + `1]}`), Arrived: arrived})
	if n := len(got.Records); n != pipeline.MaxMadeBytes/len(text)+1 || len(got.Errors) != 1 {
		t.Errorf("bytes: got %d records and %d errors, want %d and 1", n, len(got.Errors), pipeline.MaxMadeBytes/len(text)+1)
	}
	deep := compile(t, "stream = \"s\"\nfilter = \"a\"\n[[output]]\nmetric = \"m\"\nvalue = 1").Machine()
	got = deep.Try(&pipeline.Input{Data: []byte(`{"a":` + strings.Repeat("[", 100_000)), Arrived: arrived})
	if len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Reason, "more than 64 arrays and objects in each other") {
		t.Errorf("depth: got %v", got.Errors)
	}
	memory := compile(t, "stream = \"s\"\n[[output]]\nmetric = \"m\"\nvalue = \"len(map(1..1000, map(1..1000, #)))\"").Machine()
	got = memory.Try(&pipeline.Input{Data: []byte("{}"), Arrived: arrived})
	if len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Reason, "memory budget exceeded") {
		t.Errorf("memory: got %v", got.Errors)
	}
}
