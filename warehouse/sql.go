package warehouse

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	store   *Warehouse
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
	return &SQL{store: w, options: o, room: make(chan struct{}, o.Concurrent)}
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
	return s.admit(ctx, query, len(params), func(ctx context.Context, c *duck.Conn, p plan) error {
		begin := func(columns []duck.Column) error {
			for i, name := range p.columns {
				columns[i].Name = name
			}
			return r.Begin(columns)
		}
		n := 0
		return c.Rows(ctx, p.sql, params, begin, func(v []driver.Value) error {
			if n++; n > s.options.Rows {
				return s.tooMany()
			}
			return r.Row(v)
		})
	})
}

// Parquet runs one SELECT as Query does and returns its rows as a Parquet file, open at
// its start, that is gone once it is closed.
func (s *SQL) Parquet(ctx context.Context, query string, params []any) (file *os.File, err error) {
	name := filepath.Join(s.store.exports, rand.Text()+".parquet")
	err = s.admit(ctx, query, len(params), func(ctx context.Context, c *duck.Conn, p plan) (err error) {
		if !p.limited {
			return &SQLError{400, "only the rows of a SELECT can be written as Parquet"}
		}
		n, err := c.ExecCount(ctx, "COPY ("+p.sql+") TO "+duck.Quote(name)+" (FORMAT parquet, COMPRESSION zstd)", params...)
		if err == nil && n > int64(s.options.Rows) {
			err = s.tooMany()
		}
		if err == nil {
			file, err = os.Open(name)
		}
		return err
	})
	// An open file can be read without its name, and does not outlive the program.
	if gone := os.Remove(name); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return file, err
}

func (s *SQL) tooMany() error {
	return &SQLError{413, fmt.Sprintf("the result has more than %d rows, the limit; add LIMIT or aggregate", s.options.Rows)}
}

// admit waits for room, checks a query and lets run run it over the loaded rows and the
// tail. It returns what is wrong with the query as a *SQLError.
func (s *SQL) admit(ctx context.Context, query string, params int, run func(context.Context, *duck.Conn, plan) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return s.explain(ctx, ctx.Err())
	}
	c, err := s.store.db.Conn(ctx)
	if err != nil {
		return s.explain(ctx, err)
	}
	defer c.Close()
	p, err := s.check(ctx, c, query, params)
	if err != nil {
		return s.explain(ctx, err)
	}
	return s.explain(ctx, s.read(ctx, c, func(ctx context.Context) error { return run(ctx, c, p) }))
}

// read calls run in a transaction that sees the loaded rows and the tail as of one moment.
func (s *SQL) read(ctx context.Context, c *duck.Conn, run func(context.Context) error) error {
	known := s.store.knownSeries() // before the snapshot, which has them all
	if s.options.Tail != nil {
		// The tail is pinned before the snapshot begins, so that what the snapshot lacks is kept.
		t, err := s.options.Tail(ctx)
		if err != nil {
			return err
		}
		defer t.Close()
		var done func()
		ctx, done = withPending(ctx, t, known)
		defer done()
	}
	if err := c.Exec(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return err
	}
	defer c.Rollback()
	return run(ctx)
}

// explain turns the errors that are the query's own fault into a *SQLError.
func (s *SQL) explain(ctx context.Context, err error) error {
	var known *SQLError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &SQLError{408, fmt.Sprintf("the query took longer than %v, the limit", s.options.Timeout)}
	case errors.Is(err, duck.ErrUnreadable):
		return &SQLError{400, err.Error()}
	}
	if words, ok := duck.Message(err); ok {
		return &SQLError{400, words}
	}
	return err
}
