package pipeline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"freshet/ingest/pipeline"
)

// FuzzJSON holds the reader of pipelines to encoding/json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[true,false,null,-0,1.5e3,12345678901234567890,9007199254740993],"c":{"d":"x\né\ud83d\ude00"}}`,
		`"\ud800x"`, `"\udc00\ud800"`, "\"\xff\"", `[]`, ` {} `, `01`, `-`, `1.`, `1e`, `"\q"`, `{"a":1,}`, `[1 2]`, `1e400`, `{"a":1,"a":2}`, `nul`, "\"\x01\"", `"\u12"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			text = bytes.ToValidUTF8(text, []byte("?")) // encoding/json replaces each byte, the reader each run
		}
		got, err := pipeline.ReadJSON(text)
		if err != nil && strings.Contains(err.Error(), "in each other") {
			return // encoding/json goes deeper
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		wantErr := d.Decode(&want)
		if wantErr == nil {
			if _, more := d.Token(); !errors.Is(more, io.EOF) {
				wantErr = errors.New("more")
			}
		}
		large := false
		want = asPipelines(want, &large)
		if (err != nil) != (wantErr != nil || large) {
			t.Fatalf("%q: got the error %v, encoding/json %v", text, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v", text, got, want)
		}
	})
}

// asPipelines makes numbers what pipelines have, and says whether one is too large.
func asPipelines(v any, large *bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = asPipelines(v[name], large)
		}
	case []any:
		for i := range v {
			v[i] = asPipelines(v[i], large)
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		x, err := v.Float64()
		if err != nil || math.IsInf(x, 0) {
			*large = true
		}
		return x
	}
	return v
}
