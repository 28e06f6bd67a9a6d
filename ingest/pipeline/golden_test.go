package pipeline_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"freshet/ingest/pipeline"
)

// arrived is when the records of tests have arrived: 2026-03-04T12:00:00Z.
const arrived = 1772625600000

// TestExamples runs each testdata/*.txt: a definition, records and what they become. Records
// are separated by lines of ---. -update writes what they become anew.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 3 {
				t.Fatalf("got %d files, want pipeline.toml, records and made", len(archive.Files))
			}
			got := run(t, string(archive.Files[0].Data), strings.Split(string(archive.Files[1].Data), "---\n")...)
			if *update {
				archive.Files[2].Data = got
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := archive.Files[2].Data; !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

var update = flag.Bool("update", false, "write what the examples make anew")

// compile compiles a definition in TOML.
func compile(t testing.TB, text string) *pipeline.Program {
	t.Helper()
	all, err := pipeline.Read([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Compile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run shows what a definition makes of records, a line for each thing.
func run(t testing.TB, definition string, records ...string) []byte {
	t.Helper()
	m := compile(t, definition).Machine()
	var out bytes.Buffer
	for _, text := range records {
		tried := m.Try(&pipeline.Input{
			Data: []byte(strings.TrimSuffix(text, "\n")), Key: []byte("key-1"), Arrived: arrived,
			Stream: "clicks", Shard: "shardId-000000000000", Sequence: "4965",
		})
		out.WriteString("record: " + number(tried.Events) + " events, " + number(tried.Filtered) + " filtered\n")
		for _, p := range tried.Points {
			show(t, &out, "point", p)
		}
		for _, r := range tried.Records {
			show(t, &out, "record to "+r.Stream, map[string]string{"key": r.Key, "data": r.Data})
		}
		for _, e := range tried.Errors {
			out.WriteString("  error  " + e.Field + ": " + e.Reason + "\n")
		}
	}
	return out.Bytes()
}

func number(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func show(t testing.TB, out *bytes.Buffer, what string, v any) {
	t.Helper()
	out.WriteString("  " + what + "  ")
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
}
