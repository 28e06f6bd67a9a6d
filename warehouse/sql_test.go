package warehouse_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freshet/warehouse"
	"freshet/warehouse/duck"
)

func status(err error) int {
	var known *warehouse.SQLError
	if errors.As(err, &known) {
		return known.Status
	}
	return 0
}

// TestRefused runs SQL that writes, reaches out of the database or changes settings.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret.csv")
	if err := os.WriteFile(file, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FRESHET_SECRET", "hunter2")
	w := open(t, warehouse.Options{})
	s := w.SQL(warehouse.SQLOptions{})
	for _, sql := range []string{
		"", " ", "-- nothing", ";", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE load_rows", "SELEC 1", "SELECT * FROM nowhere",
		"INSERT INTO load_rows VALUES (9, now(), now(), 0)", "UPDATE load_rows SET points = 0", "DELETE FROM load_rows",
		"WITH x AS (SELECT 1) INSERT INTO load_rows SELECT 9, now(), now(), 0", "MERGE INTO load_rows USING (SELECT 1) ON false WHEN NOT MATCHED THEN INSERT VALUES (9, now(), now(), 0)",
		"DROP TABLE load_rows", "CREATE TABLE x (a INTEGER)", "CREATE TEMP TABLE x AS SELECT 1", "CREATE OR REPLACE VIEW points AS SELECT 1", "ALTER TABLE load_rows ADD COLUMN x INTEGER", "TRUNCATE load_rows",
		"CREATE MACRO f(x) AS x", "CREATE SECRET (TYPE s3)", "CREATE SEQUENCE s",
		"PRAGMA database_list", "PRAGMA enable_profiling", "pragma memory_limit='1TB'", "SET memory_limit = '1TB'", "SET threads = 99", "RESET memory_limit", "SET TimeZone = 'America/New_York'", "USE memory",
		"SET enable_external_access = true", "SET lock_configuration = false",
		"COPY (SELECT 1) TO '/dev/stdout'", "COPY load_rows FROM '" + file + "'", "EXPORT DATABASE '" + dir + "'", "IMPORT DATABASE '" + dir + "'",
		"ATTACH ':memory:' AS other", "DETACH memory", "INSTALL httpfs", "LOAD httpfs", "CALL pragma_version()", "CALL enable_logging()", "CHECKPOINT", "FORCE CHECKPOINT", "VACUUM", "ANALYZE",
		"BEGIN", "COMMIT", "ROLLBACK", "PREPARE x AS SELECT 1", "EXECUTE x", "DEALLOCATE x",
		"EXPLAIN ANALYZE INSERT INTO load_rows VALUES (9, now(), now(), 0)", "EXPLAIN ANALYZE COPY (SELECT 1) TO '" + dir + "/out.csv'", "EXPLAIN DELETE FROM load_rows",
		"SELECT * FROM read_csv('" + file + "')", "SELECT * FROM '" + file + "'", "SELECT * FROM read_text('" + file + "')", "SELECT * FROM read_blob('/etc/passwd')",
		"SELECT * FROM glob('" + dir + "/*')", "SELECT * FROM sniff_csv('" + file + "')", "SELECT * FROM read_json('" + file + "')", "SELECT * FROM read_parquet('" + file + "')", "SELECT * FROM parquet_metadata('" + file + "')",
		"SELECT * FROM 'https://example.com/x.csv'", "SELECT * FROM read_duckdb('" + file + "')", "SELECT getenv('FRESHET_SECRET')",
		"SELECT * FROM query('INSERT INTO load_rows VALUES (9, now(), now(), 0)')", "SELECT * FROM query('PRAGMA database_list; SELECT 1')",
		"SELECT * FROM enable_logging(storage = 'stdout')", "SELECT * FROM enable_logging()", "SELECT * FROM disable_logging()", "SELECT * FROM truncate_duckdb_logs()",
		"SELECT * FROM checkpoint()", "SELECT * FROM force_checkpoint()", "SELECT * FROM enable_profiling()", "SELECT * FROM disable_profiling()",
		"SELECT * FROM query('SELECT * FROM enable_logging()')", "SELECT (SELECT count(*) FROM enable_logging())", "WITH x AS (FROM enable_logging()) FROM x", "EXPLAIN ANALYZE SELECT * FROM enable_logging()",
		"SELECT * FROM \"enable_logging\"()", "SELECT * FROM system.main.enable_logging()", "SELECT * FROM EnAbLe_LoGgInG()", "SELECT * FROM arrow_scan(1, 1, 1)",
		"SELECT write_log('x')", "SELECT 'x'.write_log()", "SELECT sleep_ms(1)", "EXPLAIN (FORMAT json) SELECT write_log('x')", "DESCRIBE SELECT * FROM enable_logging()", "SUMMARIZE FROM enable_logging()", "SELECT currval('s')", "SELECT nextval('s')", "SELECT json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
		"SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM enable_logging()'))", "SHOW ALL TABLES; SELECT 1",
	} {
		got, err := rowsOf(s, sql)
		if status(err) != 400 {
			t.Errorf("%s: got %s, error %v, want a refusal", sql, got, err)
		}
	}
	if got, err := rowsOf(s, "SELECT current_setting('enable_logging'), current_setting('TimeZone'), current_setting('lock_configuration'), current_setting('enable_external_access'), (SELECT count(*) FROM load_rows)"); err != nil || got != "[[0 UTC true false 0]]" {
		t.Errorf("settings are %s, %v", got, err)
	}
}

func TestAllowed(t *testing.T) {
	w := open(t, warehouse.Options{})
	s := w.SQL(warehouse.SQLOptions{})
	for sql, want := range map[string]string{
		"SELECT 1":  "[[1]]",
		"select 1;": "[[1]]",
		" -- a comment; with a semicolon\n/* ; */ SELECT 1 -- done": "[[1]]",
		"SELECT 1; -- done":                         "[[1]]",
		"(SELECT 1) UNION ALL (SELECT 2)":           "[[1] [2]]",
		"FROM range(3) SELECT sum(range)::BIGINT":   "[[3]]",
		"VALUES (1, 'a;b')":                         "[[1 a;b]]",
		"TABLE load_rows":                           "[]",
		"WITH x AS (SELECT 5 AS a) SELECT a FROM x": "[[5]]",
		"SELECT 1 AS a, 2 AS a":                     "[[1 2]]",
		"SELECT count(*) FROM points":               "[[0]]",
		"SELECT count(*) FROM windows_1s":           "[[0]]",
		"SELECT count(*) FROM windows_1m":           "[[0]]",
		"SELECT count(*) FROM windows_1h":           "[[0]]",
		"SELECT count(*) FROM loads":                "[[0]]",
		"SELECT time_bucket(INTERVAL 1 DAY, TIMESTAMPTZ '2024-03-10 23:30:00+00')": "[[2024-03-10T00:00:00Z]]",
	} {
		if got, err := rowsOf(s, sql); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", sql, got, err, want)
		}
	}
	for _, sql := range []string{"DESCRIBE points", "SHOW TABLES", "SHOW ALL TABLES", "SUMMARIZE points", "EXPLAIN SELECT * FROM points", "EXPLAIN ANALYZE SELECT * FROM points",
		"EXPLAIN (FORMAT json) SELECT 1", "EXPLAIN (SELECT 1)"} {
		if got, err := rowsOf(s, sql); err != nil || got == "[]" {
			t.Errorf("%s: got %s, %v", sql, got, err)
		}
	}
	if got, err := rowsOf(s, "SELECT $1 + $2, $3", int64(1), 2.5, "x"); err != nil || got != "[[3.5 x]]" {
		t.Errorf("parameters: got %s, %v", got, err)
	}
	for _, params := range [][]any{{}, {int64(1)}, {int64(1), int64(2), int64(3)}} {
		if _, err := rowsOf(s, "SELECT $1::INTEGER + $2::INTEGER", params...); status(err) != 400 {
			t.Errorf("%d parameters for 2: %v", len(params), err)
		}
	}
}

// TestEverySession sees the same settings on every connection of the pool.
func TestEverySession(t *testing.T) {
	w := open(t, warehouse.Options{})
	s := w.SQL(warehouse.SQLOptions{Concurrent: 16})
	done := make(chan error)
	for range 16 {
		go func() {
			got, err := rowsOf(s, "SELECT DISTINCT current_setting('TimeZone') FROM range(3000000) WHERE range % 7 = 3")
			if err == nil && got != "[[UTC]]" {
				err = fmt.Errorf("time zone %s", got)
			}
			done <- err
		}()
	}
	for range 16 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestQueryLimits(t *testing.T) {
	w := open(t, warehouse.Options{MemoryBytes: 256 << 20})
	s := w.SQL(warehouse.SQLOptions{Rows: 1000, Timeout: 300 * time.Millisecond, Concurrent: 1})
	for _, c := range []struct {
		sql  string
		want int
	}{
		{"SELECT * FROM range(1000)", 0},
		{"SELECT * FROM range(1001)", 413},
		{"SELECT * FROM range(1000000000000)", 413},
		{"SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", 408},
		{"SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", 408}, // on the same connection
		{"SELECT count(*) FROM points", 0},
	} {
		began := time.Now()
		_, err := rowsOf(s, c.sql)
		if status(err) != c.want || c.want == 0 && err != nil {
			t.Errorf("%s: got status %d, %v, want %d", c.sql, status(err), err, c.want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", c.sql, took)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Query(ctx, "SELECT 1", nil, &table{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a query whose caller left ended with %v", err)
	}
	// A query that needs more memory than there is fails alone.
	greedy := w.SQL(warehouse.SQLOptions{})
	if _, err := rowsOf(greedy, "SELECT sum(len(l)) FROM (SELECT list(range) AS l FROM range(200000000))"); status(err) != 400 {
		t.Errorf("a greedy query ended with %v", err)
	}
	if _, err := rowsOf(s, "SELECT 1"); err != nil {
		t.Errorf("after a greedy query: %v", err)
	}
}

// TestLoadSurvivesGreedyQueries loads beside queries that use up the memory.
func TestLoadSurvivesGreedyQueries(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	store := open(t, warehouse.Options{MemoryBytes: 256 << 20})
	l := newLineOn(t, newLog(t), store, warehouse.LoaderOptions{})
	loader := store.Loader(warehouse.LoaderOptions{Source: l.engine, Retry: time.Millisecond, Every: time.Millisecond})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_, err := rowsOf(l.sql, "SELECT sum(len(l)) FROM (SELECT list(range) AS l FROM range(100000000))")
				if err == nil {
					t.Error("the greedy query fits; it tests nothing")
					return
				}
			}
		}
	}()
	run(t, loader.Run)
	for i := range 5 {
		postMany(t, l, i*50_000, 50_000)
	}
	deadline := time.Now().Add(30 * time.Second)
	for loader.Stats().Points < 250_000 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	<-done
	t.Logf("%+v", loader.Stats())
	if got, want := l.query(t, totals), "[[250000 250000 250000 250000 250000]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := loader.Stats().Points; got != 250_000 {
		t.Errorf("%d points are loaded, want 250000", got)
	}
}

// TestEveryType encodes DuckDB's own table of its types, least and greatest values of each.
func TestEveryType(t *testing.T) {
	w := open(t, warehouse.Options{})
	api := &warehouse.API{SQL: w.SQL(warehouse.SQLOptions{})}
	for _, accept := range []string{"application/json", "application/x-ndjson", "text/csv"} {
		code, body := ask(t, api.Query(), accept, "text/plain", "SELECT * EXCLUDE (time_ns) FROM test_all_types()")
		if code != 200 {
			t.Errorf("%s: %d %s", accept, code, body)
		}
	}
	for _, c := range []struct{ sql, want string }{
		{"true", "true"}, {"1::TINYINT", "1"}, {"-5::BIGINT", "-5"}, {"9007199254740992", "9007199254740992"}, {"9007199254740993", `"9007199254740993"`}, {"18446744073709551615::UBIGINT", `"18446744073709551615"`},
		{"170141183460469231731687303715884105727::HUGEINT", `"170141183460469231731687303715884105727"`}, {"5::HUGEINT", "5"}, {"sum(5)", "5"},
		{"1.50::DECIMAL(10,2)", `"1.50"`}, {"0.1::DOUBLE", "0.1"}, {"0.1::FLOAT", "0.1"}, {"'nan'::DOUBLE", "null"}, {"'-inf'::DOUBLE", "null"}, {"'inf'::FLOAT", "null"}, {"NULL", "null"},
		{"'é\"\u2028'", `"é\"\u2028"`}, {"'\\xAA\\x00'::BLOB", `"qgA="`}, {"'101'::BIT", `"101"`}, {"DATE '2024-02-29'", `"2024-02-29"`}, {"TIME '01:02:03.5'", `"01:02:03.5"`},
		{"TIMESTAMP '2024-02-29 01:02:03.004'", `"2024-02-29T01:02:03.004Z"`}, {"TIMESTAMPTZ '2024-02-29 01:02:03.004+02'", `"2024-02-28T23:02:03.004Z"`}, {"TIMESTAMP_NS '2024-02-29 01:02:03.000000001'", `"2024-02-29T01:02:03.000000001Z"`},
		{"INTERVAL '14 months 3 days 1 second'", `"14 months 3 days 1s"`}, {"UUID '00000000-0000-0000-0000-000000000001'", `"00000000-0000-0000-0000-000000000001"`},
		{"[1, NULL]", "[1,null]"}, {"['nan'::DOUBLE]", "[null]"}, {"{'a': 1, 'b': [2]}", `{"a":1,"b":[2]}`}, {"MAP {'x': 1.5::DOUBLE}", `{"x":1.5}`}, {"MAP {1: 'a'}", `{"1":"a"}`}, {"MAP {DATE '2024-02-29': 1}", `{"2024-02-29":1}`},
		{"[DATE '2024-02-29']", `["2024-02-29"]`}, {"{'d': DATE '2024-02-29', 'l': [TIME '01:00:00']}", `{"d":"2024-02-29","l":["01:00:00"]}`}, {"[UUID '00000000-0000-0000-0000-000000000001']", `["00000000-0000-0000-0000-000000000001"]`},
		{"[1, 2]::INTEGER[2]", "[1,2]"}, {"'a'::ENUM('a', 'b')", `"a"`}, {"union_value(a := 1)", "1"},
	} {
		code, body := ask(t, api.Query(), "application/json", "text/plain", "SELECT "+c.sql)
		var out struct{ Rows [][]json.RawMessage }
		if err := json.Unmarshal([]byte(body), &out); err != nil || code != 200 || len(out.Rows) != 1 {
			t.Errorf("%s: %d %s", c.sql, code, body)
			continue
		}
		if got := string(out.Rows[0][0]); got != c.want {
			t.Errorf("%s: got %s, want %s", c.sql, got, c.want)
		}
	}
}

// ask posts a body and returns the answer.
func ask(t *testing.T, h http.Handler, accept, kind, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/sql", strings.NewReader(body))
	r.Header.Set("Accept", accept)
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestQueryOverHTTP(t *testing.T) {
	w := open(t, warehouse.Options{})
	api := &warehouse.API{SQL: w.SQL(warehouse.SQLOptions{Bytes: 4096})}
	const sql = `{"sql":"SELECT i, 'a,\"' || i AS s, NULL AS n, MAP {'k': i} AS m FROM range(?) t(i)","params":[2]}`
	for _, c := range []struct {
		name, accept, kind, body string
		code                     int
		want                     string
	}{
		{"json", "", "application/json", sql, 200, `{"columns":[{"name":"i","type":"BIGINT"},{"name":"s","type":"VARCHAR"},{"name":"n","type":"INTEGER"},{"name":"m","type":"MAP(VARCHAR, BIGINT)"}],"rows":[[0,"a,\"0",null,{"k":0}],` + "\n" + `[1,"a,\"1",null,{"k":1}]]}` + "\n"},
		{"ndjson", "application/x-ndjson", "application/json", sql, 200, `{"i":0,"s":"a,\"0","n":null,"m":{"k":0}}` + "\n" + `{"i":1,"s":"a,\"1","n":null,"m":{"k":1}}` + "\n"},
		{"csv", "text/html, text/csv;q=0.5", "application/json; charset=utf-8", sql, 200, "i,s,n,m\n0,\"a,\"\"0\",,\"{\"\"k\"\":0}\"\n1,\"a,\"\"1\",,\"{\"\"k\"\":1}\"\n"},
		{"no rows", "", "text/plain", "SELECT 1 AS a WHERE false", 200, `{"columns":[{"name":"a","type":"INTEGER"}],"rows":[]}` + "\n"},
		{"text with charset", "*/*", "text/plain; charset=utf-8", "SELECT 1 AS a", 200, `{"columns":[{"name":"a","type":"INTEGER"}],"rows":[[1]]}` + "\n"},
		{"unknown format", "image/png", "text/plain", "SELECT 1", 406, ""},
		{"unknown body", "", "application/xml", "<a/>", 415, ""},
		{"no JSON", "", "application/json", "{", 400, ""},
		{"unknown field", "", "application/json", `{"query":"SELECT 1"}`, 400, ""},
		{"bad parameter", "", "application/json", `{"sql":"SELECT ?","params":[{}]}`, 400, ""},
		{"trailing", "", "application/json", `{"sql":"SELECT 1"} {"sql":"SELECT 2"}`, 400, ""},
		{"bad SQL", "", "text/plain", "SELECT nope", 400, ""},
		{"bad UTF-8", "", "text/plain", "SELECT '\xff'", 400, ""},
		{"zero byte", "", "text/plain", "SELECT 'a\x00b'", 400, ""},
		{"many bytes", "", "text/plain", "SELECT repeat('x', 5000)", 413, ""},
		{"long text", "", "text/plain", strings.Repeat(" ", 2<<20), 413, ""},
		{"deep", "", "text/plain", "SELECT " + strings.Repeat("(", 50_000) + "1" + strings.Repeat(")", 50_000), 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, body := ask(t, api.Query(), c.accept, c.kind, c.body)
			if code != c.code || c.code == 200 && body != c.want {
				t.Errorf("got %d %s, want %d %s", code, body, c.code, c.want)
			}
			var e struct{ Error string }
			if c.code != 200 && (json.Unmarshal([]byte(body), &e) != nil || e.Error == "") {
				t.Errorf("error is %q, want JSON with a reason", body)
			}
		})
	}
	r := httptest.NewRecorder()
	api.Query().ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if r.Code != 405 || r.Header().Get("Allow") != "POST" {
		t.Errorf("GET: got %d, Allow %q", r.Code, r.Header().Get("Allow"))
	}
}

func TestLoadOverHTTP(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	postMany(t, l, 0, 10)
	api := &warehouse.API{SQL: l.sql, Loader: l.loader}
	code, body := ask(t, api.Load(), "", "", "")
	var done warehouse.Loaded
	if err := json.Unmarshal([]byte(body), &done); err != nil || code != 200 || done.Generation != 1 || done.Points != 10 || done.Seconds <= 0 {
		t.Errorf("got %d %s", code, body)
	}
}

// TestParquetReadsBack reads a Parquet answer with another DuckDB.
func TestParquetReadsBack(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "it's w.duckdb"), warehouse.LoaderOptions{})
	postMany(t, l, 0, 10)
	api := &warehouse.API{SQL: l.sql}
	const kind = "application/vnd.apache.parquet"
	code, body := ask(t, api.Query(), kind, "application/json", `{"sql":"SELECT ts, metric, labels, value, ? AS p, 1 AS a, 2 AS a FROM points ORDER BY ts","params":["x"]}`)
	if code != 200 || !strings.HasPrefix(body, "PAR1") || !strings.HasSuffix(body, "PAR1") {
		t.Fatalf("got %d, %.200q", code, body)
	}
	for name, c := range map[string]struct {
		sql  string
		code int
	}{
		"explain":       {"EXPLAIN SELECT 1", 400},
		"two":           {"SELECT 1; SELECT 2", 400},
		"broken out of": {"SELECT 1) TO '/tmp/x.parquet' (FORMAT parquet); --", 400},
		"many":          {"FROM range(100001)", 413},
		"comment":       {"SELECT 1 -- done", 200},
	} {
		if code, body := ask(t, api.Query(), kind, "text/plain", c.sql); code != c.code {
			t.Errorf("%s: got %d, %.200q, want %d", name, code, body, c.code)
		}
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(l.path), "*.exports", "*"))
	if err != nil || len(files) != 0 {
		t.Errorf("files are left: %q, %v", files, err)
	}
	// What is in the folder cannot be read from SQL.
	spied := filepath.Join(l.path+".exports", "x.parquet")
	if err := os.WriteFile(spied, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted := strings.ReplaceAll(spied, "'", "''")
	for _, sql := range []string{"DESCRIBE '" + quoted + "'", "SUMMARIZE '" + quoted + "'", "DESCRIBE FROM '" + quoted + "'",
		"FROM '" + quoted + "'", "FROM '" + strings.ReplaceAll(l.path, "'", "''") + ".exports/*.parquet'", "FROM read_parquet('" + quoted + "')"} {
		if got, err := rowsOf(l.sql, sql); status(err) != 400 {
			t.Errorf("%s: got %s, %v", sql, got, err)
		}
	}
	db, err := duck.Open(t.Context(), duck.Options{Path: filepath.Join(t.TempDir(), "other.duckdb"), Exports: l.path + ".exports"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got string
	if err := c.Value(t.Context(), "SELECT count(*) || ' ' || sum(value) || ' ' || min(p) || ' ' || max(labels['host']) FROM '"+quoted+"'", nil, &got); err != nil || got != "10 45.0 x 9" {
		t.Errorf("read back %q, %v", got, err)
	}
}

// TestCSVReadsBack reads a CSV answer with Go's reader.
func TestCSVReadsBack(t *testing.T) {
	w := open(t, warehouse.Options{})
	api := &warehouse.API{SQL: w.SQL(warehouse.SQLOptions{})}
	_, body := ask(t, api.Query(), "text/csv", "text/plain", "SELECT i, i / 2 AS half FROM range(5000) t(i)")
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(records) != 5001 || records[5000][1] != "2499.5" {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestSchemaOfALaterProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w, err := warehouse.Open(t.Context(), warehouse.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	execOn(t, path, "INSERT INTO schema_rows VALUES (99, now())")
	_, err = warehouse.Open(t.Context(), warehouse.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "99") {
		t.Errorf("opening a schema of version 99: %v", err)
	}
}
