package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"freshet/warehouse/duck"
)

var errNotReading = &SQLError{400, "only SELECT and EXPLAIN are allowed here: the warehouse is written by loads alone"}

// tableFunctions are those that queries may read from. DuckDB has others that change
// settings of the whole process (enable_logging makes it print every query), write the
// database file (checkpoint), reach for files, or run SQL that is hidden in a string
// (query, json_execute_serialized_sql). What is not listed here is refused.
var tableFunctions = []string{
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "regexp_split_to_table",
	"histogram", "histogram_values", "summary", "test_all_types",
	"duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types", "duckdb_views",
	"icu_calendar_names", "pg_timezone_names", "pragma_table_info", "pragma_version",
}

// refusedFunctions are scalar functions that do more than compute: they write to the
// log, keep a thread of DuckDB asleep, or advance a sequence.
var refusedFunctions = []string{"write_log", "sleep_ms", "pg_sleep", "nextval", "getenv"}

// A plan is a query that may be run.
type plan struct {
	sql     string
	limited bool     // to one row more than is allowed
	columns []string // names of the result's columns; nil keeps DuckDB's
}

// check returns how to run a query, or a *SQLError if it may not be run. The text is
// parsed and bound, and none of it is executed.
func (s *SQL) check(ctx context.Context, c *duck.Conn, query string, params int) (plan, error) {
	inner, limited, err := readsOnly(query)
	if err != nil {
		return plan{}, err
	}
	known, err := c.Inspect(query)
	switch {
	case errors.Is(err, duck.ErrNotOne):
		return plan{}, &SQLError{400, duck.ErrNotOne.Error()}
	case err != nil:
		return plan{}, err
	case known.Kind == duck.Other:
		return plan{}, errNotReading
	case known.Params != params:
		return plan{}, &SQLError{400, fmt.Sprintf("the query has %d parameters, and %d values were given", known.Params, params)}
	}
	if err := checkFunctions(ctx, c, inner); err != nil {
		return plan{}, err
	}
	p := plan{sql: query}
	if !limited {
		return p, nil
	}
	// DuckDB gathers a result before the first row can be read, so the limit of rows is
	// part of the query. A text that does not fit into brackets is run as it is.
	wrapped := fmt.Sprintf("SELECT * FROM (\n%s\n) LIMIT %d", strings.TrimRight(query, "; \t\r\n"), s.options.Rows+1)
	if again, err := c.Inspect(wrapped); err == nil && again.Kind == duck.Select && again.Params == params && len(again.Columns) == len(known.Columns) {
		p.sql, p.limited = wrapped, true
		if params == 0 { // with parameters the names are not known before they are bound
			p.columns = known.Columns
		}
	}
	return p, nil
}

// readsOnly refuses a text whose statement does not begin like one that reads. DuckDB's
// own kind of the statement is checked as well, but PRAGMA statements turn into others
// before it can be asked. It returns the text without a leading EXPLAIN, and whether
// the result's rows may be limited.
func readsOnly(query string) (inner string, limited bool, err error) {
	inner = query
	word, rest := firstWord(query)
	explain := word == "EXPLAIN"
	if explain {
		inner = rest
		if word, rest = firstWord(rest); word == "ANALYZE" {
			inner = rest
			word, rest = firstWord(rest)
		}
		if option, _ := firstWord(rest); word == "(" && option != "SELECT" && option != "WITH" && option != "FROM" && option != "(" {
			if _, inner, _ = strings.Cut(rest, ")"); inner != "" { // (FORMAT json)
				word, _ = firstWord(inner)
			}
		}
	}
	switch word {
	case "SELECT", "WITH", "FROM", "VALUES", "TABLE", "(":
		return inner, !explain, nil
	case "DESCRIBE", "DESC", "SHOW", "SUMMARIZE":
		return inner, false, nil
	case "":
		return "", false, &SQLError{400, "the query is empty"}
	}
	return "", false, errNotReading
}

// firstWord returns the first word of a statement in upper case, comments passed over,
// and what follows it.
func firstWord(s string) (word, rest string) {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f\v")
		switch {
		case strings.HasPrefix(s, "--"):
			_, s, _ = strings.Cut(s, "\n")
		case strings.HasPrefix(s, "/*"):
			_, s, _ = strings.Cut(s[2:], "*/")
		case strings.HasPrefix(s, "("):
			return "(", s[1:]
		default:
			n := strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
			if n < 0 {
				n = len(s)
			}
			return strings.ToUpper(s[:n]), s[n:]
		}
	}
}

// checkFunctions refuses a query that calls functions which reach out of it. They are
// found in DuckDB's own syntax tree of the text; views were bound when they were made.
func checkFunctions(ctx context.Context, c *duck.Conn, query string) error {
	var text string
	if err := c.Value(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", []any{query}, &text); err != nil {
		return err
	}
	var tree struct {
		Error      bool   `json:"error"`
		Message    string `json:"error_message"`
		Statements []any  `json:"statements"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return fmt.Errorf("syntax tree: %w", err)
	}
	switch {
	case tree.Error:
		return &SQLError{400, tree.Message}
	case len(tree.Statements) != 1:
		return &SQLError{400, duck.ErrNotOne.Error()}
	}
	return walk(tree.Statements[0], false)
}

// walk looks for refused functions in a part of a syntax tree; table says that the part
// is what a FROM clause calls.
func walk(part any, table bool) error {
	switch part := part.(type) {
	case []any:
		for _, x := range part {
			if err := walk(x, false); err != nil {
				return err
			}
		}
	case map[string]any:
		if name, ok := part["function_name"].(string); ok {
			name = strings.ToLower(name)
			if table && !slices.Contains(tableFunctions, name) || slices.Contains(refusedFunctions, name) {
				return &SQLError{400, fmt.Sprintf("function %s is not allowed here", name)}
			}
		}
		// Only names of files have slashes. The folder for exports is open to DuckDB.
		if name, ok := part["table_name"].(string); ok && strings.ContainsAny(name, `/\`) {
			return &SQLError{400, "files cannot be read here"}
		}
		for key, x := range part {
			if err := walk(x, key == "function" && part["type"] == "TABLE_FUNCTION"); err != nil {
				return err
			}
		}
	}
	return nil
}
