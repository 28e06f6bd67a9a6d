package warehouse

import (
	"bytes"
	"database/sql/driver"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"freshet/warehouse/duck"
)

// maxSQLBytes bounds the body of a SQL request.
const maxSQLBytes = 1 << 20

// An API answers POST /api/v1/sql and POST /api/v1/warehouse/load. It leaves access to
// whoever mounts it.
type API struct {
	SQL    *SQL
	Loader *Loader
	Logger *slog.Logger // nil discards
}

// Query answers POST /api/v1/sql.
func (a *API) Query() http.Handler { return a.handler(a.query) }

// Load answers POST /api/v1/warehouse/load.
func (a *API) Load() http.Handler { return a.handler(a.load) }

// handler answers errors as JSON, and other methods than POST with 405.
func (a *API) handler(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			answer(w, http.StatusMethodNotAllowed, map[string]string{"error": fmt.Sprintf("method %s is not allowed here; use POST", r.Method)})
			return
		}
		err := f(w, r)
		var known *SQLError
		switch {
		case err == nil || r.Context().Err() != nil:
		case errors.As(err, &known):
			answer(w, known.Status, map[string]string{"error": known.Reason})
		default:
			if a.Logger != nil {
				a.Logger.Error("request failed", "path", r.URL.Path, "error", err)
			}
			answer(w, http.StatusInternalServerError, map[string]string{"error": "the warehouse could not answer; the server's log says why"})
		}
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (a *API) load(w http.ResponseWriter, r *http.Request) error {
	done, err := a.Loader.Load(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, done)
	return nil
}

func (a *API) query(w http.ResponseWriter, r *http.Request) error {
	text, params, err := readSQL(w, r)
	if err != nil {
		return err
	}
	if wantsParquet(r.Header.Get("Accept")) {
		return a.parquet(w, r, text, params)
	}
	var out bytes.Buffer
	result, contentType, err := a.encoder(r.Header.Get("Accept"), &out)
	if err != nil {
		return err
	}
	if err := a.SQL.Query(r.Context(), text, params, result); err != nil {
		return err
	}
	if err := result.end(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(out.Bytes())
	return nil
}

const parquetType = "application/vnd.apache.parquet"

// wantsParquet reports whether Parquet is the first type of the Accept header.
func wantsParquet(accept string) bool {
	first, _, _ := strings.Cut(accept, ",")
	kind, _, _ := mime.ParseMediaType(first)
	return kind == parquetType
}

func (a *API) parquet(w http.ResponseWriter, r *http.Request, text string, params []any) error {
	file, err := a.SQL.Parquet(r.Context(), text, params)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if limit := int64(a.SQL.options.Bytes); info.Size() > limit {
		return &SQLError{413, fmt.Sprintf("the result is larger than %d bytes, the limit; select less or aggregate", limit)}
	}
	w.Header().Set("Content-Type", parquetType)
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	_, _ = io.Copy(w, file)
	return nil
}

// readSQL reads the statement and its parameters: JSON, or the statement alone as text.
func readSQL(w http.ResponseWriter, r *http.Request) (string, []any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQLBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "", nil, &SQLError{413, fmt.Sprintf("the body is larger than %d bytes, the limit", maxSQLBytes)}
	case err != nil:
		return "", nil, &SQLError{400, "the body could not be read: " + err.Error()}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "text/plain", "application/sql":
		return string(body), nil, nil
	case "", "application/json":
	default:
		return "", nil, &SQLError{415, fmt.Sprintf("content type %q is neither application/json nor text/plain", kind)}
	}
	var in struct {
		SQL    string `json:"sql"`
		Params []any  `json:"params"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return "", nil, &SQLError{400, "the body is not a JSON object with sql and params: " + err.Error()}
	}
	if d.More() {
		return "", nil, &SQLError{400, "the body holds more than one JSON object"}
	}
	for i, p := range in.Params {
		if in.Params[i], err = parameter(p); err != nil {
			return "", nil, &SQLError{400, fmt.Sprintf("params[%d]: %v", i, err)}
		}
	}
	return in.SQL, in.Params, nil
}

// parameter returns the value that is bound for a JSON value.
func parameter(p any) (any, error) {
	switch p := p.(type) {
	case nil, bool, string:
		return p, nil
	case json.Number:
		if n, err := p.Int64(); err == nil {
			return n, nil
		}
		f, err := p.Float64()
		if err != nil || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is not a number that fits", p)
		}
		return f, nil
	}
	return nil, errors.New("a parameter is null, true, false, a number or a string")
}

// An encoder writes a result in one format.
type encoder interface {
	Result
	end() error
}

// encoder returns the encoder that the Accept header asks for.
func (a *API) encoder(accept string, out *bytes.Buffer) (encoder, string, error) {
	b := &bounded{out, a.SQL.options.Bytes}
	for _, part := range strings.Split(accept, ",") {
		kind, _, _ := mime.ParseMediaType(part)
		switch kind {
		case "", "*/*", "application/*", "application/json":
			return &jsonEncoder{out: b}, "application/json", nil
		case "application/x-ndjson":
			return &ndjsonEncoder{out: b}, kind, nil
		case "text/csv":
			return &csvEncoder{out: csv.NewWriter(b)}, "text/csv; charset=utf-8", nil
		}
	}
	return nil, "", &SQLError{406, fmt.Sprintf("accept %q: results come as application/json, application/x-ndjson, text/csv or "+parquetType, accept)}
}

// A bounded buffer refuses to grow past a limit.
type bounded struct {
	*bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, &SQLError{413, fmt.Sprintf("the result is larger than %d bytes, the limit; select less or aggregate", b.limit)}
	}
	return b.Buffer.Write(p)
}

// plain returns the values of a row as encoding/json takes them.
func plain(columns []duck.Column, v []driver.Value, into []any) []any {
	into = into[:0]
	for i := range v {
		into = append(into, duck.Plain(v[i], columns[i].Type))
	}
	return into
}

// jsonEncoder writes {"columns":[{"name","type"}],"rows":[[…]]}.
type jsonEncoder struct {
	out     *bounded
	columns []duck.Column
	row     []any
	n       int
}

func (e *jsonEncoder) Begin(columns []duck.Column) error {
	e.columns = columns
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	head := make([]column, len(columns))
	for i, c := range columns {
		head[i] = column(c)
	}
	b, err := json.Marshal(head)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, `{"columns":%s,"rows":[`, b)
	return err
}

func (e *jsonEncoder) Row(v []driver.Value) error {
	e.row = plain(e.columns, v, e.row)
	b, err := json.Marshal(e.row)
	if err != nil {
		return err
	}
	if e.n++; e.n > 1 {
		b = append([]byte(",\n"), b...)
	}
	_, err = e.out.Write(b)
	return err
}

func (e *jsonEncoder) end() error {
	_, err := io.WriteString(e.out, "]}\n")
	return err
}

// ndjsonEncoder writes an object a line, its fields in the order of the columns.
type ndjsonEncoder struct {
	out     *bounded
	columns []duck.Column
	names   [][]byte
	row     []any
}

func (e *ndjsonEncoder) Begin(columns []duck.Column) error {
	e.columns = columns
	for _, c := range columns {
		name, err := json.Marshal(c.Name)
		if err != nil {
			return err
		}
		e.names = append(e.names, name)
	}
	return nil
}

func (e *ndjsonEncoder) Row(v []driver.Value) error {
	e.row = plain(e.columns, v, e.row)
	line := []byte{'{'}
	for i, x := range e.row {
		if i > 0 {
			line = append(line, ',')
		}
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		line = append(append(append(line, e.names[i]...), ':'), b...)
	}
	_, err := e.out.Write(append(line, '}', '\n'))
	return err
}

func (e *ndjsonEncoder) end() error { return nil }

// csvEncoder writes RFC 4180 with a header line. NULL is an empty field; nested values
// are JSON.
type csvEncoder struct {
	out     *csv.Writer
	columns []duck.Column
	row     []any
	fields  []string
}

func (e *csvEncoder) Begin(columns []duck.Column) error {
	e.columns = columns
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return e.out.Write(names)
}

func (e *csvEncoder) Row(v []driver.Value) error {
	e.row = plain(e.columns, v, e.row)
	e.fields = e.fields[:0]
	for _, x := range e.row {
		field, ok := x.(string)
		if !ok && x != nil {
			b, err := json.Marshal(x)
			if err != nil {
				return err
			}
			field = string(bytes.Trim(b, `"`)) // quotes around what is no string, such as base64
		}
		e.fields = append(e.fields, field)
	}
	if err := e.out.Write(e.fields); err != nil {
		return err
	}
	e.out.Flush()
	return e.out.Error()
}

func (e *csvEncoder) end() error {
	e.out.Flush()
	return e.out.Error()
}
