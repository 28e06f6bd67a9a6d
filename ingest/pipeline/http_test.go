package pipeline_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/ingest/pipeline"
	"freshet/stream"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// call makes a request and returns status and body.
func (l *life) call(method, path, body string, header ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.pipes.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAPI(t *testing.T) {
	l := start(t, vfs.NewMem(), kv.NewMem(), clickPipeline)
	defer l.stop()
	const one = `{"stream":"clicks","output":[{"metric":"m","value":1}]}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		want               string
	}{
		{"GET", "/api/v1/pipelines", "", nil, 200, `{"pipelines":[{"name":"clicks","origin":"file","stream":"clicks"`},
		{"GET", "/api/v1/pipelines/none", "", nil, 404, `{"error":"\"none\": there is no such pipeline"}`},
		{"PUT", "/api/v1/pipelines/one", one, nil, 201, `"definition":{"output":[{"metric":"m","value":1}],"stream":"clicks"}`},
		{"PUT", "/api/v1/pipelines/one", one, nil, 200, `"origin":"api"`},
		{"PUT", "/api/v1/pipelines/one", "stream = \"clicks\"\n[[output]]\nmetric = \"m\"\nvalue = 2", []string{"Content-Type", "application/toml"}, 200, `"value":2`},
		{"PUT", "/api/v1/pipelines/one", `{"name":"two","stream":"clicks","output":[{"metric":"m","value":1}]}`, nil, 400, `name: the path says \"one\", the definition \"two\"`},
		{"PUT", "/api/v1/pipelines/one", `{"stream":"clicks","output":[{"metric":"m","value":"a +"}]}`, nil, 400, `output[0].value: the expression \"a +\": `},
		{"PUT", "/api/v1/pipelines/one", `{"stream":"clicks"`, nil, 400, "the definition is not a JSON object"},
		{"PUT", "/api/v1/pipelines/one", strings.Repeat("x", 5<<20), nil, 413, "larger than the limit of 4194304 bytes"},
		{"PUT", "/api/v1/pipelines/round", `{"stream":"metrics","decode":"points","output":[{"metric":"m","value":1}]}`, nil, 400, "records would go round for ever: metrics → metrics"},
		{"PUT", "/api/v1/pipelines/clicks", one, nil, 409, "the pipeline is defined in a file of --pipelines"},
		{"DELETE", "/api/v1/pipelines/clicks", "", nil, 409, "the pipeline is defined in a file of --pipelines"},
		{"DELETE", "/api/v1/pipelines/none", "", nil, 404, "there is no such pipeline"},
		{"DELETE", "/api/v1/pipelines/one", "", nil, 204, ""},
		{"GET", "/api/v1/pipelines/one", "", nil, 404, "there is no such pipeline"},
		{"POST", "/api/v1/pipelines/one", "", nil, 405, "method POST is not allowed here; use GET, PUT, DELETE"},
		{"POST", "/api/v1/pipelines/test", `{"definition":` + one + `,"records":[{"a":1},"[1, 2]","x"]}`, nil, 200,
			`{"events":2,"filtered":0,"points":[{"metric":"m","type":"gauge","ts":`},
		{"POST", "/api/v1/pipelines/test", `{"records":[]}`, nil, 400, "definition: it is given as that or as toml, and not as both"},
		{"POST", "/api/v1/pipelines/test", `{"toml":"stream = 1","records":[]}`, nil, 400, "stream: must be a string, got 1"},
		{"POST", "/api/v1/pipelines/test", `{"toml":"","recrods":[]}`, nil, 400, `unknown field \"recrods\"`},
	} {
		status, body := l.call(c.method, c.path, c.body, c.header...)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %.80s: got %d %s, want %d …%s…", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
}

func TestAtMost64(t *testing.T) {
	l := start(t, vfs.NewMem(), kv.NewMem())
	defer l.stop()
	for i := range pipeline.MaxPipelines + 1 {
		want := http.StatusCreated
		if i == pipeline.MaxPipelines {
			want = http.StatusConflict
		}
		status, body := l.call("PUT", fmt.Sprintf("/api/v1/pipelines/p%d", i), `{"stream":"none","output":[{"metric":"m","value":1}]}`)
		if status != want {
			t.Fatalf("the %d-th: got %d %s, want %d", i, status, body, want)
		}
	}
}

// eventually waits until the detail of a pipeline is as it should be.
func (l *life) eventually(t *testing.T, name, what string, ok func(pipeline.Detail) bool) {
	t.Helper()
	var d pipeline.Detail
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var found bool
		if d, found = l.pipes.Get(t.Context(), name); found && ok(d) {
			return
		}
	}
	t.Fatalf("%s: waited for %s, got %+v", name, what, d.Status)
}

// put appends records to a stream.
func (l *life) put(t *testing.T, name string, data ...string) {
	t.Helper()
	s, ok := l.log.Stream(name)
	if !ok {
		t.Fatalf("there is no stream %s", name)
	}
	var entries []stream.Entry
	for _, d := range data {
		entries = append(entries, stream.Entry{PartitionKey: d, Data: []byte(d)})
	}
	if _, _, err := s.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// TestChange looks that a changed pipeline goes on where it was, also over a restart, and
// that one which is deleted and put again begins anew, and counts all again.
func TestChange(t *testing.T) {
	fs, store := vfs.NewMem(), kv.NewMem()
	l := start(t, fs, store)
	at := time.Now().Add(-time.Minute).UnixMilli()
	definition := func(shop string) string {
		return fmt.Sprintf(`{"stream":"clicks","output":[{"metric":"m","type":"counter","ts":%d,"labels":{"shop":{"literal":"%s"}}}]}`, at, shop)
	}
	l.put(t, "clicks", `{"n":1}`, `{"n":2}`, `{"n":3}`)
	l.call("PUT", "/api/v1/pipelines/p", definition("first"))
	l.eventually(t, "p", "three records", func(d pipeline.Detail) bool { return d.Points == 3 })
	l.call("PUT", "/api/v1/pipelines/p", definition("second"))
	l.eventually(t, "p", "the change", func(d pipeline.Detail) bool {
		return d.State == "running" && strings.Contains(string(d.Definition), "second")
	})
	l.put(t, "clicks", `{"n":4}`)
	l.eventually(t, "p", "the fourth", func(d pipeline.Detail) bool { return d.Points == 1 })
	l.stop()

	l = start(t, fs, store)
	l.put(t, "clicks", `{"n":5}`)
	l.eventually(t, "p", "the fifth", func(d pipeline.Detail) bool { return d.Points == 1 && d.Origin == "api" })
	if status, body := l.call("DELETE", "/api/v1/pipelines/p", ""); status != http.StatusNoContent {
		t.Fatalf("delete: got %d %s, want 204", status, body)
	}
	l.call("PUT", "/api/v1/pipelines/p", definition("third"))
	l.eventually(t, "p", "all again", func(d pipeline.Detail) bool { return d.Points == 5 })
	defer l.stop()
	l.caughtUp(t, "p")
	compare(t, l, at, map[string]map[string]float64{"m": {"first": 3, "second": 2, "third": 5}})

	// Nothing is left of what was deleted.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		begun, err := store.List(t.Context(), "start/")
		if err != nil {
			t.Fatal(err)
		}
		gone, err := store.List(t.Context(), "pipeline-gone/")
		if err != nil {
			t.Fatal(err)
		}
		if len(begun) == 1 && len(gone) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got the consumers %v and the remains %v, want one and none", begun, gone)
		}
	}
}

// TestChain leads records through two streams to points, of which one is made later, and
// past records that are none.
func TestChain(t *testing.T) {
	at := time.Now().Add(-time.Minute).UnixMilli()
	l := start(t, vfs.NewMem(), kv.NewMem(), `
name = "clean"
stream = "clicks"
filter = "n != nil"
[[output]]
stream = "middle"
key = "n"
record = "{n: n * 10}"
`, `
name = "count"
stream = "middle"
[[output]]
metric = "m"
type = "counter"
value = "n"
ts = `+fmt.Sprint(at)+`
labels.shop = "'x'"
`)
	defer l.stop()
	l.put(t, "clicks", `{"n":1}`, "poison", `{"n":2}`, `{"n":"x"}`, `{}`)
	l.eventually(t, "clean", "a stream that is missing", func(d pipeline.Detail) bool { return strings.Contains(d.Error, "there is no stream middle") })
	l.eventually(t, "count", "a stream that is missing", func(d pipeline.Detail) bool { return d.State == "waiting" })
	if _, err := l.log.Create("middle", 2); err != nil {
		t.Fatal(err)
	}
	l.eventually(t, "clean", "the records", func(d pipeline.Detail) bool { return d.Made == 2 && d.Error == "" && d.Runs > 0 })
	l.eventually(t, "count", "the points", func(d pipeline.Detail) bool { return d.Points == 2 })
	l.caughtUp(t, "count")
	compare(t, l, at, map[string]map[string]float64{"m": {"x": 30}})
	d, _ := l.pipes.Get(t.Context(), "clean")
	if d.Records != 5 || d.Errors != 2 || d.Filtered != 1 {
		t.Errorf("got %+v, want 5 records, 2 errors, 1 filtered", d.Status)
	}
	i := slices.IndexFunc(d.Sample, func(k pipeline.Kept) bool { return k.Head == "poison" })
	if i < 0 || d.Sample[i].Field != "decode" || d.Sample[i].Key != "poison" || d.Sample[i].Sequence == "" {
		t.Errorf("got the sample %+v, want the record that is poison", d.Sample)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
}

// TestANewStreamOfTheSameName is read from its beginning.
func TestANewStreamOfTheSameName(t *testing.T) {
	at := time.Now().Add(-time.Minute).UnixMilli()
	l := start(t, vfs.NewMem(), kv.NewMem(), fmt.Sprintf("name = \"p\"\nstream = \"s\"\nshards = 1\n[[output]]\nmetric = \"m\"\ntype = \"counter\"\nts = %d\nlabels.shop = \"'x'\"\n", at))
	defer l.stop()
	l.put(t, "s", "1", "2", "3")
	l.eventually(t, "p", "three records", func(d pipeline.Detail) bool { return d.Points == 3 && d.Runs > 0 })
	if err := l.log.Delete("s"); err != nil {
		t.Fatal(err)
	}
	l.eventually(t, "p", "the stream to be made again", func(pipeline.Detail) bool { _, ok := l.log.Stream("s"); return ok })
	l.put(t, "s", "4", "5")
	l.eventually(t, "p", "two more", func(d pipeline.Detail) bool { return d.Points == 5 })
	l.caughtUp(t, "p")
	compare(t, l, at, map[string]map[string]float64{"m": {"x": 5}})
}
