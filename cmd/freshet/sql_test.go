package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{
			"numbers to the right",
			`{"columns":[{"name":"metric","type":"VARCHAR"},{"name":"n","type":"BIGINT"}],"rows":[["añb",1],["c",12345678901234567890],[null,null]]}`,
			"metric                     n\n" +
				"──────  ────────────────────\n" +
				"añb                        1\n" +
				"c       12345678901234567890\n" +
				"NULL                    NULL\n" +
				"(3 rows)\n",
		},
		{
			"maps, control characters",
			`{"columns":[{"name":"labels","type":"MAP"},{"name":"x","type":"VARCHAR"}],"rows":[[{"a":"b"},"one\ntwo\u001b[2J"]]}`,
			"labels     x\n" +
				"─────────  ───────────\n" +
				"{\"a\":\"b\"}  one·two·[2J\n" +
				"(1 row)\n",
		},
		{
			"no rows",
			`{"columns":[{"name":"n","type":"BIGINT"}],"rows":[]}`,
			"n\n─\n(0 rows)\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			decoder := json.NewDecoder(strings.NewReader(test.answer))
			decoder.UseNumber()
			var rows sqlRows
			if err := decoder.Decode(&rows); err != nil {
				t.Fatal(err)
			}
			if got := string(rows.table()); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}
