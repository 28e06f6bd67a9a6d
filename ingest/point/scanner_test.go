package point_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"freshet/ingest/point"
)

// scan reads a body: its points, and the errors as "index: error".
func scan(body string) (good []point.Point, bad []string) {
	var s point.Scanner
	var v point.View
	s.Reset([]byte(body), noon)
	for {
		err := s.Next(&v)
		if err == io.EOF {
			return good, bad
		}
		if err == nil {
			err = v.Check(noon)
		}
		var syntax *point.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return nil, []string{"all: " + err.Error()}
		case err != nil:
			bad = append(bad, fmt.Sprintf("%d: %v", s.Index(), err))
		default:
			good = append(good, copyOf(&v))
		}
	}
}

func copyOf(v *point.View) point.Point {
	p := point.Point{Time: v.Time, Value: v.Value, Member: string(v.Member)}
	p.Metric, p.Type = string(v.Metric), v.Type
	for _, l := range v.Labels {
		p.Labels = append(p.Labels, point.Label{Name: string(l.Name), Value: string(l.Value)})
	}
	return p
}

func gauge(value float64, pairs ...string) point.Point {
	return point.Point{Series: point.Series{Metric: "m", Type: point.Gauge, Labels: labels(pairs...)}, Time: noon, Value: value}
}

func TestScanPoints(t *testing.T) {
	typed := func(typ point.Type, p point.Point) point.Point { p.Type = typ; return p }
	at := func(ms int64, p point.Point) point.Point { p.Time = ms; return p }
	member := func(m string) point.Point {
		p := typed(point.Set, gauge(0))
		p.Member = m
		return p
	}
	for _, c := range []struct {
		name, body string
		want       []point.Point
	}{
		{"object", `{"metric":"m","value":1.5}`, []point.Point{gauge(1.5)}},
		{"array", ` [ {"metric":"m","value":1} , {"metric":"m","value":2} ] `, []point.Point{gauge(1), gauge(2)}},
		{"empty array", `[ ]`, nil},
		{"ndjson", "{\"metric\":\"m\",\"value\":1}\r\n\n{\"metric\":\"m\",\"value\":2}\n", []point.Point{gauge(1), gauge(2)}},
		{"side by side", `{"metric":"m","value":1} {"metric":"m","value":2}`, []point.Point{gauge(1), gauge(2)}},
		{"over lines", "{\n \"metric\": \"m\",\n \"value\": 1,\n \"labels\": {\n }\n}", []point.Point{gauge(1)}},
		{"byte order mark", "\xef\xbb\xbf{\"metric\":\"m\",\"value\":1}", []point.Point{gauge(1)}},
		{"labels are sorted", `{"metric":"m","value":1,"labels":{"z":"1","a":"2","m":"3"}}`, []point.Point{gauge(1, "a", "2", "m", "3", "z", "1")}},
		{"empty label", `{"metric":"m","value":1,"labels":{"z":"1","a":""}}`, []point.Point{gauge(1, "z", "1")}},
		{"any order", `{"value":"x","labels":{},"type":"set","ts":1700000000001,"metric":"m"}`, []point.Point{at(noon+1, member("x"))}},
		{"escapes", `{"metric":"m","type":"set","value":"\"\\\/é😀 größe"}`, []point.Point{member(`"\/é😀 größe`)}},
		{"escaped name", `{"metric":"\u006d","value":1,"labels":{"\u0061":"b\u0063"}}`, []point.Point{gauge(1, "a", "bc")}},
		{"null is absent", `{"metric":"m","type":null,"ts":null,"labels":null,"value":1}`, []point.Point{gauge(1)}},
		{"counter of one", `{"metric":"m","type":"counter"}`, []point.Point{typed(point.Counter, gauge(1))}},
		{"cumulative", `{"metric":"m","type":"cumulative","value":9007199254740993}`, []point.Point{typed(point.Cumulative, gauge(9007199254740992))}},
		{"distribution", `{"metric":"m","type":"distribution","value":-1.25e2}`, []point.Point{typed(point.Distribution, gauge(-125))}},
		{"fraction of a millisecond", `{"metric":"m","value":1,"ts":1700000000000.9}`, []point.Point{gauge(1)}},
		{"exponent", `{"metric":"m","value":1,"ts":1.7e12}`, []point.Point{gauge(1)}},
		{"RFC 3339", `{"metric":"m","value":1,"ts":"2023-11-14T23:13:20.007+01:00"}`, []point.Point{at(noon+7, gauge(1))}},
		{"ahead, just", `{"metric":"m","value":1,"ts":1700000300000}`, []point.Point{at(noon+300_000, gauge(1))}},
		{"names of any script", `{"metric":"m","value":1,"labels":{"größe":"価格","app.kubernetes.io/name":"GET /x?y=1"}}`, []point.Point{gauge(1, "app.kubernetes.io/name", "GET /x?y=1", "größe", "価格")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, bad := scan(c.body)
			if d := diff(got, c.want); d != "" || bad != nil {
				t.Errorf("%s; errors %q", d, bad)
			}
		})
	}
}

// Every error names the field, and the limit and the value where there are such.
func TestScanRefuses(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"l%d":"v",`, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	with := func(labels string) string { return `{"metric":"m","value":1,"labels":{` + labels + `}}` }
	for _, c := range []struct{ name, body, want string }{
		{"no metric", `{"value":1}`, "metric: is required"},
		{"nothing", `{}`, "metric: is required"},
		{"null metric", `{"metric":null,"value":1}`, "metric: is required"},
		{"empty metric", `{"metric":"","value":1}`, "metric: is required and may not be empty"},
		{"metric is a number", `{"metric":5,"value":1}`, "metric: must be a string, got a number"},
		{"metric with a space", `{"metric":"a b","value":1}`, `metric: "a b" may hold letters, digits and _ . : / - only, and begins with a letter, a digit or _`},
		{"metric begins with a dot", `{"metric":".a","value":1}`, `metric: ".a" may hold`},
		{"metric is not UTF-8", "{\"metric\":\"a\xff\",\"value\":1}", `metric: "a\xff" may hold`},
		{"long metric", `{"metric":"` + strings.Repeat("a", 257) + `","value":1}`, `metric: at most 256 bytes, got 257: "aaa`},
		{"unknown field", `{"metric":"m","val":1,"value":1}`, "val: is not a field of a point; it has metric, type, ts, value and labels"},
		{"wrong case", `{"Metric":"m","value":1}`, "Metric: is not a field of a point"},
		{"field twice", `{"metric":"m","value":1,"value":2}`, "value: is there twice"},
		{"unknown type", `{"metric":"m","type":"timer","value":1}`, `type: "timer" is not one of gauge, counter, cumulative, distribution, set`},
		{"type is a boolean", `{"metric":"m","type":true,"value":1}`, `type: must be a string, got a boolean`},
		{"no value", `{"metric":"m"}`, "value: is required for a gauge"},
		{"no member", `{"metric":"m","type":"set"}`, "value: is required for a set"},
		{"a number for a set", `{"metric":"m","type":"set","value":7}`, "value: must be a string for a set, got a number"},
		{"empty member", `{"metric":"m","type":"set","value":""}`, "value: a set takes a string that is not empty"},
		{"long member", `{"metric":"m","type":"set","value":"` + strings.Repeat("a", 1025) + `"}`, "value: at most 1024 bytes, got 1025"},
		{"a string for a gauge", `{"metric":"m","value":"1"}`, `value: must be a number for a gauge, got the string "1"`},
		{"an object for a value", `{"metric":"m","value":{"a":[1,2]}}`, `value: must be a number, or a string for a set, got an object`},
		{"too large", `{"metric":"m","value":1e999}`, `value: "1e999" is out of range`},
		{"NaN", `[{"metric":"m","value":NaN}]`, "value: must be a finite number, got NaN"},
		{"infinite", `[{"metric":"m","value":-Infinity}]`, "value: must be a finite number, got -Infinity"},
		{"labels are a list", `{"metric":"m","value":1,"labels":["a"]}`, "labels: must be an object of strings, got an array"},
		{"label is a number", with(`"status":200`), "labels.status: must be a string, got a number"},
		{"label twice", with(`"a":"1","b":"2","a":"3"`), `labels: "a" is there twice`},
		{"label without a name", with(`"":"1"`), "labels: a label's name may not be empty"},
		{"reserved label", with(`"__name__":"1"`), `labels: names that begin with __ are reserved, got "__name__"`},
		{"long label name", with(`"` + strings.Repeat("a", 129) + `":"1"`), "labels: a name may have at most 128 bytes, got 129"},
		{"long label", with(`"a":"` + strings.Repeat("a", 1025) + `"`), "labels.a: at most 1024 bytes, got 1025"},
		{"1,000 labels", with(many(1000)), "labels: at most 64, got 1000"},
		{"65 labels", with(many(65)), "labels: at most 64, got 65"},
		{"control character", with(`"a":"b\u0007"`), `labels.a: has the control character U+0007: "b\a"`},
		{"C1 control character", with(`"a":"\u0085"`), `labels.a: has the control character U+0085`},
		{"label is not UTF-8", with("\"a\":\"\xff\""), `labels.a: is not valid UTF-8: "\xff"`},
		{"half a surrogate pair", with(`"a":"\ud83d x"`), `point: has half a surrogate pair, \ud83d, in a string`},
		{"seconds", `{"metric":"m","value":1,"ts":1700000000}`, "ts: 1700000000 (1970-01-20T16:13:20Z) is before 2000-01-01T00:00:00Z; this looks like seconds, ts is in milliseconds"},
		{"microseconds", `{"metric":"m","value":1,"ts":1700000000000000}`, "ts: 1700000000000000 is more than 5 min ahead of the server's clock, 1700000000000 (2023-11-14T22:13:20Z); this looks like microseconds"},
		{"nanoseconds", `{"metric":"m","value":1,"ts":1700000000000000000}`, "ts: 1700000000000000000 is more than 5 min ahead of the server's clock, 1700000000000 (2023-11-14T22:13:20Z); this looks like nanoseconds"},
		{"negative time", `{"metric":"m","value":1,"ts":-5}`, "ts: -5 (1969-12-31T23:59:59.995Z) is before 2000-01-01T00:00:00Z"},
		{"ahead", `{"metric":"m","value":1,"ts":1700000300001}`, "ts: 1700000300001 (2023-11-14T22:18:20.001Z) is more than 5 min ahead of the server's clock, 1700000000000 (2023-11-14T22:13:20Z)"},
		{"time out of range", `{"metric":"m","value":1,"ts":1e300}`, `ts: "1e300" is out of range`},
		{"time in words", `{"metric":"m","value":1,"ts":"today"}`, `ts: "today" is neither epoch milliseconds nor RFC 3339`},
		{"not a point", `[5]`, "point: must be an object, got a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Between two good points, so that it is seen to refuse only itself.
			good := `{"metric":"m","value":1}`
			inner := strings.TrimSuffix(strings.TrimPrefix(c.body, "["), "]")
			got, bad := scan("[" + good + "," + inner + "," + good + "]")
			if len(got) != 2 || len(bad) != 1 || !strings.HasPrefix(bad[0], "1: "+c.want) {
				t.Errorf("got %d points and %q, want 2 points and %q", len(got), bad, c.want)
			}
		})
	}
}

func TestScanMalformed(t *testing.T) {
	good := `{"metric":"m","value":1}`
	for _, c := range []struct {
		name, body string
		points     int
		want       []string
	}{
		{"nothing", "", 0, nil},
		{"white space", " \n\t", 0, nil},
		{"text", "hello\nworld", 0, []string{`0: json: line 1: expected { at the beginning of a point, got "hello\nworld" (byte 0)`, `1: json: line 2: expected {`}},
		{"one bad line", good + "\n{\"metric\":\n" + good, 2, []string{`1: json: line 2: expected , or } in an object, got the end`}},
		{"a brace missing", good + "\n" + `{"metric":"m","value":1` + "\n" + good + "\n" + good, 3, []string{`1: json: line 2: expected , or } in an object, got "{`}},
		{"a quote missing", good + "\n" + `{"metric":"m` + "\n" + good, 2, []string{`1: json: line 2: a string has the control character U+000A, it must be escaped (byte 37)`}},
		{"text between", good + "\nhello\n\n\nworld\n" + good, 2, []string{`1: json: line 2: expected {`, `2: json: line 5: expected {`}},
		{"object over lines", "{\n \"metric\": \"m\"\n \"value\": 1\n}\n" + good, 1, []string{`0: json: line 1: expected , or } in an object, got "\"value`}},
		{"bad last line", good + "\n{", 1, []string{`1: json: line 2: expected a name in quotes, got the end`}},
		{"commas between", good + ",\n" + good, 2, []string{`1: json: line 1: expected {`}},
		{"array without end", "[" + good, 0, []string{`all: malformed JSON at byte 25 (line 1): expected , or ] after a point, got the end`}},
		{"array, something behind", "[" + good + "]\n{}", 0, []string{`all: malformed JSON at byte 27 (line 1): expected nothing after the array, got "{}"`}},
		{"array, comma at the end", "[" + good + ",]", 0, []string{`all: malformed JSON at byte 26`}},
		{"array, no comma", "[" + good + "\n" + good + "]", 0, []string{`all: malformed JSON at byte 26 (line 1): expected , or ]`}},
		{"array, broken second line", "[" + good + ",\n{\"metric\"}]", 0, []string{`all: malformed JSON at byte 36 (line 2): expected : after "metric"`}},
		{"leading zero", `{"metric":"m","value":01}`, 0, []string{`0: json: line 1: "01}" is not a number`}},
		{"no digits", `{"metric":"m","value":1.}`, 0, []string{`0: json: line 1: expected a digit after the decimal point`}},
		{"plus", `{"metric":"m","value":+1}`, 0, []string{`0: json: line 1: expected a value`}},
		{"deep", `{"metric":"m","value":1,"x":` + strings.Repeat("[", 5000), 0, []string{`0: json: line 1: values are nested more than 32 deep`}},
		{"bad escape", `{"metric":"\x","value":1}`, 0, []string{`0: json: line 1: "\\x`}},
		{"bad literal", `{"metric":"m","value":1,"ts":nil}`, 0, []string{`0: json: line 1: expected null, got "nil}"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, bad := scan(c.body)
			ok := len(got) == c.points && len(bad) == len(c.want)
			for i := range c.want {
				ok = ok && strings.HasPrefix(bad[i], c.want[i])
			}
			if !ok {
				t.Errorf("got %d points and %q, want %d and %q", len(got), bad, c.points, c.want)
			}
		})
	}
}
