package pipeline_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

var example = regexp.MustCompile("(?s)```toml\n(.*?)```\n(.*?)```records\n(.*?)```\n```made\n(.*?)```")

// TestDocs runs the examples of docs/pipelines.md.
func TestDocs(t *testing.T) {
	const name = "../../docs/pipelines.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	found := example.FindAllSubmatchIndex(page, -1)
	if n := bytes.Count(page, []byte("```records")); len(found) != n || n < 5 {
		t.Fatalf("got %d examples, want %d, at least 5", len(found), n)
	}
	for i := len(found) - 1; i >= 0; i-- { // from the end, so that places stay when it is written
		at := found[i]
		definition := string(page[at[2]:at[3]])
		if !strings.Contains(definition, "\nname ") && !strings.HasPrefix(definition, "name ") {
			definition = "name = \"example\"\n" + definition
		}
		got := run(t, definition, strings.Split(string(page[at[6]:at[7]]), "---\n")...)
		want := page[at[8]:at[9]]
		if *update {
			page = append(page[:at[8]:at[8]], append(got, page[at[9]:]...)...)
		} else if !bytes.Equal(got, want) {
			t.Errorf("example %d: got\n%s\nwant\n%s", i, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(name, page, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
