package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"freshet/aggregate"
	"freshet/warehouse/duck"
)

// SQLOptions bound what people's queries may do. Zero values mean the defaults.
type SQLOptions struct {
	// Tail returns what is not loaded; nil means that nothing is pending.
	Tail func(context.Context) (*aggregate.Tail, error)

	Timeout    time.Duration // of one query; 0 means 30 s
	Rows       int           // of one result; 0 means 100,000
	Bytes      int           // of one encoded result; 0 means 64 MiB
	Concurrent int           // queries at the same time, others wait; 0 means 4
}

// A SQL runs read-only queries. Its methods may be called by anyone at any time.
type SQL struct {
	db      *duck.DB
	options SQLOptions
	room    chan struct{}
}

// SQL returns the service that runs people's queries.
func (w *Warehouse) SQL(o SQLOptions) *SQL {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Rows == 0 {
		o.Rows = 100_000
	}
	if o.Bytes == 0 {
		o.Bytes = 64 << 20
	}
	if o.Concurrent == 0 {
		o.Concurrent = 4
	}
	return &SQL{db: w.db, options: o, room: make(chan struct{}, o.Concurrent)}
}

// A SQLError is a query that was refused or could not be finished.
type SQLError struct {
	Status int // of the HTTP answer: 400, 408 or 413
	Reason string
}

func (e *SQLError) Error() string { return e.Reason }

// A Result takes the rows of a query.
type Result interface {
	// Begin is called once, before any row.
	Begin([]duck.Column) error
	// Row is called for every row; the values are valid until it returns.
	Row([]driver.Value) error
}

// Query runs one SELECT or EXPLAIN over the loaded rows and the tail, as of one moment,
// and hands its rows to r. What is wrong with the query is a *SQLError.
func (s *SQL) Query(ctx context.Context, query string, params []any, r Result) error {
	if err := readsOnly(query); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return s.explain(ctx, ctx.Err())
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		return s.explain(ctx, err)
	}
	defer c.Close()
	kind, err := c.Inspect(query)
	if err != nil {
		return s.explain(ctx, err)
	}
	if kind == duck.Other {
		return errNotReading
	}
	return s.explain(ctx, s.run(ctx, c, query, params, r))
}

// run runs a query that may be run.
func (s *SQL) run(ctx context.Context, c *duck.Conn, query string, params []any, r Result) error {
	if s.options.Tail != nil {
		// The tail is pinned before the snapshot begins, so that what the snapshot lacks is kept.
		t, err := s.options.Tail(ctx)
		if err != nil {
			return err
		}
		defer t.Close()
		ctx = withPending(ctx, t)
	}
	if err := c.Exec(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return err
	}
	defer c.Exec(context.WithoutCancel(ctx), "ROLLBACK") //nolint:errcheck // nothing was written
	n := 0
	return c.Rows(ctx, query, params, r.Begin, func(v []driver.Value) error {
		if n++; n > s.options.Rows {
			return &SQLError{413, fmt.Sprintf("the result has more than %d rows, the limit; add LIMIT or aggregate", s.options.Rows)}
		}
		return r.Row(v)
	})
}

// explain turns the errors that are the query's own fault into a *SQLError.
func (s *SQL) explain(ctx context.Context, err error) error {
	var known *SQLError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &SQLError{408, fmt.Sprintf("the query took longer than %v, the limit", s.options.Timeout)}
	case errors.Is(err, duck.ErrNotOne):
		return &SQLError{400, duck.ErrNotOne.Error()}
	}
	if words, ok := duck.Message(err); ok {
		return &SQLError{400, words}
	}
	return err
}

var errNotReading = &SQLError{400, "only SELECT and EXPLAIN are allowed here: the warehouse is written by loads alone"}

// readsOnly refuses a text whose statement does not begin like one that reads. DuckDB's
// own kind of the statement is checked as well, but PRAGMA statements turn into others
// before it can be asked.
func readsOnly(query string) error {
	word, rest := firstWord(query)
	if word == "EXPLAIN" {
		if word, rest = firstWord(rest); word == "ANALYZE" {
			word, _ = firstWord(rest)
		}
	}
	switch word {
	case "SELECT", "WITH", "FROM", "VALUES", "TABLE", "DESCRIBE", "DESC", "SHOW", "SUMMARIZE", "(":
		return nil
	case "":
		return &SQLError{400, "the query is empty"}
	}
	return errNotReading
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
