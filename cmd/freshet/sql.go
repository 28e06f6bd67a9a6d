package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// sqlCmd is `freshet sql`.
type sqlCmd struct {
	client
	Format string `help:"table, json, ndjson, csv or parquet." enum:"table,json,ndjson,csv,parquet" default:"table"`
	Query  string `arg:"" optional:"" help:"One SELECT. Without it, the query is read from standard input."`
}

// maxQuery is how much of standard input may be one query.
const maxQuery = 1 << 20

var sqlAccept = map[string]string{
	"table":   "application/json",
	"json":    "application/json",
	"ndjson":  "application/x-ndjson",
	"csv":     "text/csv",
	"parquet": "application/vnd.apache.parquet",
}

// Run sends the query and prints its rows.
func (c *sqlCmd) Run(in *invocation) error {
	query := c.Query
	if query == "" || query == "-" {
		text, err := io.ReadAll(io.LimitReader(in.stdin, maxQuery+1))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(text) > maxQuery {
			return usagef("the query on standard input is longer than %d bytes", maxQuery)
		}
		query = string(text)
	}
	if strings.TrimSpace(query) == "" {
		return usagef("there is no query")
	}
	body, err := json.Marshal(map[string]string{"sql": query})
	if err != nil {
		return err
	}
	answer, err := c.do(in.ctx, request{
		method: http.MethodPost, path: "/api/v1/sql", contentType: "application/json", accept: sqlAccept[c.Format], body: body,
	})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if c.Format != "table" {
		if _, err := io.Copy(in.stdout, answer.Body); err != nil {
			return fmt.Errorf("reading the rows: %w", err)
		}
		return nil
	}
	decoder := json.NewDecoder(answer.Body)
	decoder.UseNumber()
	var rows sqlRows
	if err := decoder.Decode(&rows); err != nil {
		return fmt.Errorf("reading the rows: %w", err)
	}
	_, err = in.stdout.Write(rows.table())
	return err
}

// sqlRows is the JSON answer of /api/v1/sql.
type sqlRows struct {
	Columns []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"columns"`
	Rows [][]any `json:"rows"`
}

// table draws the rows with aligned columns, numbers to the right, and the
// number of rows below.
func (r *sqlRows) table() []byte {
	width := make([]int, len(r.Columns))
	numeric := make([]bool, len(r.Columns))
	for i, column := range r.Columns {
		width[i] = utf8.RuneCountInString(column.Name)
		numeric[i] = len(r.Rows) > 0
	}
	cells := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		cells[i] = make([]string, len(r.Columns))
		for j := range r.Columns {
			var value any
			if j < len(row) {
				value = row[j]
			}
			_, number := value.(json.Number)
			numeric[j] = numeric[j] && (number || value == nil)
			cells[i][j] = cell(value)
			width[j] = max(width[j], utf8.RuneCountInString(cells[i][j]))
		}
	}
	var out bytes.Buffer
	line := func(texts func(int) string) {
		start := out.Len()
		for j := range r.Columns {
			if j > 0 {
				out.WriteString("  ")
			}
			text := texts(j)
			pad := strings.Repeat(" ", width[j]-utf8.RuneCountInString(text))
			if numeric[j] {
				out.WriteString(pad + text)
			} else {
				out.WriteString(text + pad)
			}
		}
		out.Truncate(start + len(bytes.TrimRight(out.Bytes()[start:], " ")))
		out.WriteByte('\n')
	}
	line(func(j int) string { return r.Columns[j].Name })
	line(func(j int) string { return strings.Repeat("─", width[j]) })
	for _, row := range cells {
		line(func(j int) string { return row[j] })
	}
	plural := "s"
	if len(r.Rows) == 1 {
		plural = ""
	}
	fmt.Fprintf(&out, "(%d row%s)\n", len(r.Rows), plural)
	return out.Bytes()
}

// cell writes one value of a JSON answer on one line.
func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case string:
		return strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f { // a terminal would act on these
				return '·'
			}
			return r
		}, v)
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
