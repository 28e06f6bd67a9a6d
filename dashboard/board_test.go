package dashboard_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"freshet/dashboard"
)

func TestReadyBoardsAreCanonical(t *testing.T) {
	boards, err := dashboard.ReadyBoards()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(boards.All()), 2; got != want {
		t.Fatalf("got %d ready boards, want %d", got, want)
	}
	for _, b := range boards.All() {
		t.Run(b.ID, func(t *testing.T) {
			got, err := dashboard.Format(b)
			if err != nil {
				t.Fatal(err)
			}
			name := "boards/" + b.ID + ".toml"
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s is not canonical; UPDATE=1 go test ./dashboard rewrites it", name)
			}
			again, err := dashboard.Parse(b.ID, got)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again, b) {
				t.Errorf("got %+v, want %+v", again, b)
			}
		})
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	const panel = "[[panels]]\nid = \"a\"\ntitle = \"A\"\n"
	const query = "[[panels.queries]]\nmetric = \"m\"\nagg = \"avg\"\n"
	tests := []struct{ name, id, text, want string }{
		{"id", "No", "title = \"T\"\n" + panel + query, `id "No"`},
		{"title", "b", panel + query, "title is empty"},
		{"no panels", "b", "title = \"T\"\n", "panels: 0, want 1 to 64"},
		{"range", "b", "title = \"T\"\nrange = \"7m\"\n" + panel + query, `range "7m": want one of 1m, 5m`},
		{"unknown key", "b", "title = \"T\"\ncolour = \"red\"\n" + panel + query, "strict mode"},
		{"width", "b", "title = \"T\"\n" + panel + "w = 13\n" + query, "w 13: want 1 to 12"},
		{"unit", "b", "title = \"T\"\n" + panel + "unit = \"parsec\"\n" + query, `unit "parsec"`},
		{"no queries", "b", "title = \"T\"\n" + panel, "queries: 0, want 1 to 8"},
		{"step", "b", "title = \"T\"\n" + panel + query + "step = \"often\"\n", `step "often"`},
		{"draw", "b", "title = \"T\"\n" + panel + "draw = \"pie\"\n" + query, `style.draw "pie"`},
		{"twice", "b", "title = \"T\"\n" + panel + query + panel + query, `id "a" is taken`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dashboard.Parse(tt.id, []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to contain %q", err, tt.want)
			}
		})
	}
}

// Conditions on labels stand in a board's file as they do in a query.
func TestConditionsInAFile(t *testing.T) {
	const text = "title = 'T'\n[[panels]]\nid = 'a'\ntitle = 'A'\n[[panels.queries]]\nmetric = 'm'\nagg = 'avg'\n" +
		"where = {host = ['a', 'b'], route = {prefix = '/api', not = ['/api/x']}, zone = 'z'}\n"
	b, err := dashboard.Parse("b", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	where := b.Panels[0].Queries[0].Query.Where
	if route := where["route"]; len(where["host"].In) != 2 || route.Prefix == nil || *route.Prefix != "/api" || len(route.Not) != 1 || where["zone"].In[0] != "z" {
		t.Errorf("got %+v", where)
	}
	out, err := dashboard.Format(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := dashboard.Parse("b", out)
	if err != nil || !reflect.DeepEqual(again, b) {
		t.Errorf("written as %s: got %+v, %v", out, again, err)
	}
	_, err = dashboard.Parse("b", []byte(strings.Replace(text, "prefix", "prefixes", 1)))
	if want := `unknown field "prefixes"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
