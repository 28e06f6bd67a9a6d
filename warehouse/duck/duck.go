// Package duck is the only importer of DuckDB: it opens a database file with the
// settings that serving other people's SQL needs, registers functions written in Go, and
// reads and writes DuckDB's columns in place.
//
// Package warehouse calls it. What is committed is durable: DuckDB writes and syncs its
// own write-ahead log. A file belongs to one DB of one process. The package starts no
// goroutines; DuckDB's own threads call the table functions while a query runs.
package duck

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// Options configure a database.
type Options struct {
	Path        string // of the file, made if it is not there
	MemoryBytes int64  // that queries and loads together may use; 0 means 512 MiB
	Threads     int    // 0 means one a core
	Exports     string // the one folder that COPY may write to; none if it is empty

	// Prepare is called when the file was opened and before anyone else may use it: at
	// first, and again whenever DuckDB gave the database up and it had to be reopened.
	Prepare func(context.Context, *DB) error
}

// A DB is an open database. Its methods may be called by anyone at any time.
//
// DuckDB gives a database up when it cannot finish what it must, as a checkpoint on a
// full disk: everything fails from then on, and what was committed is safe. The next who
// asks for a connection has the file reopened, once all others have let theirs go.
type DB struct {
	options  Options
	contexts contexts
	opening  chan struct{} // with room for one: held while the file is opened

	mu     sync.Mutex
	handle *handle // nil when the file could not be reopened
}

// Open opens the database file. SQL can then neither reach files nor the network, nor
// load extensions, and after Lock not change these settings either. The session's time
// zone is UTC.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{options: o, opening: make(chan struct{}, 1)}
	if err := db.open(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// config returns the settings that have to be made as the file is opened.
func (o Options) config() url.Values {
	q := url.Values{}
	q.Set("autoinstall_known_extensions", "false")
	q.Set("autoload_known_extensions", "false")
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 512 << 20
	}
	q.Set("memory_limit", strconv.FormatInt(o.MemoryBytes>>20, 10)+"MiB")
	// What a load or a query needed goes back to the system when it is over.
	q.Set("allocator_flush_threshold", "8MiB")
	q.Set("allocator_bulk_deallocation_flush_threshold", "16MiB")
	q.Set("max_temp_directory_size", "4GiB") // what sorts and joins spill beside the file
	if o.Threads > 0 {
		q.Set("threads", strconv.Itoa(o.Threads))
	}
	return q
}

// Lock ends changes of settings, which DuckDB itself makes in some ALTER statements.
// People's SQL is run on a locked database only.
func (db *DB) Lock(ctx context.Context) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Exec(ctx, "SET GLOBAL lock_configuration = true")
}

// Close closes the file. No connection may be in use.
func (db *DB) Close() error {
	db.mu.Lock()
	h := db.handle
	db.handle = nil
	db.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.close()
}

// A Conn is one connection of the pool, used by one goroutine at a time.
type Conn struct {
	conn   *sql.Conn
	db     *DB
	handle *handle
	id     uint64
}

// Conn takes a connection out of the pool. The caller closes it.
func (db *DB) Conn(ctx context.Context) (*Conn, error) {
	h, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	c, err := h.pool.Conn(ctx)
	if err != nil {
		db.release(h)
		return nil, err
	}
	id, err := duckdb.ConnId(c)
	if err != nil {
		err = errors.Join(err, c.Close())
		db.release(h)
		return nil, err
	}
	return &Conn{c, db, h, id}, nil
}

// Close gives the connection back.
func (c *Conn) Close() error {
	err := c.conn.Close()
	c.db.release(c.handle)
	return err
}

// Exec runs statements without a result.
func (c *Conn) Exec(ctx context.Context, query string, args ...any) error {
	_, err := c.ExecCount(ctx, query, args...)
	return err
}

// Rollback ends a transaction. A connection that cannot is not used again.
func (c *Conn) Rollback() {
	if err := c.Exec(context.Background(), "ROLLBACK"); err != nil {
		_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// ExecCount runs a statement and returns how many rows it changed or wrote.
func (c *Conn) ExecCount(ctx context.Context, query string, args ...any) (int64, error) {
	defer c.db.contexts.enter(c.id, ctx)()
	r, err := c.conn.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, c.handle.saw(c.db, err)
	}
	return r.RowsAffected()
}

// Value runs a query whose one row is scanned into dest.
func (c *Conn) Value(ctx context.Context, query string, args []any, dest ...any) error {
	defer c.db.contexts.enter(c.id, ctx)()
	return c.handle.saw(c.db, c.conn.QueryRowContext(ctx, query, args...).Scan(dest...))
}

// A Column is a column of a result.
type Column struct {
	Name string
	Type string // DuckDB's name of the type
}

// Rows runs a query and yields its rows, after begin was called with the columns. The
// values are those of the driver and valid until yield returns. It is a good deal
// faster than scanning each value.
func (c *Conn) Rows(ctx context.Context, query string, args []any, begin func([]Column) error, yield func([]driver.Value) error) error {
	defer c.db.contexts.enter(c.id, ctx)()
	return c.conn.Raw(func(dc any) error {
		rows, err := dc.(*duckdb.Conn).QueryContext(ctx, query, named(args))
		if err != nil {
			return c.handle.saw(c.db, err)
		}
		return each(ctx, rows, begin, yield)
	})
}

func named(args []any) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out
}

// each reads rows to their end and closes them.
func each(ctx context.Context, rows driver.Rows, begin func([]Column) error, yield func([]driver.Value) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	names := rows.Columns()
	columns := make([]Column, len(names))
	for i, n := range names {
		columns[i] = Column{Name: n}
		if t, ok := rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
			columns[i].Type = t.ColumnTypeDatabaseTypeName(i)
		}
	}
	if begin != nil {
		if err := begin(columns); err != nil {
			return err
		}
	}
	row := make([]driver.Value, len(names))
	for n := 0; ; n++ {
		if n&1023 == 1023 && ctx.Err() != nil {
			return ctx.Err()
		}
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && strings.Contains(err.Error(), "unsupported data type"):
			return ErrUnreadable
		case err != nil:
			return err
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

// A Kind says what a SQL statement does.
type Kind int

// The kinds that matter.
const (
	Select Kind = iota
	Explain
	Other
)

// A Statement is what is known of a SQL text before it is run.
type Statement struct {
	Kind    Kind
	Params  int
	Columns []string // names of the result's columns
}

// ErrNotOne says that a text holds several statements, or none.
var ErrNotOne = errors.New("the text must hold exactly one SQL statement")

// ErrUnreadable says that a result has a column of a type that the driver cannot read.
var ErrUnreadable = errors.New("the result has a type that cannot be read; cast it to VARCHAR")

// Inspect prepares the text without running any of it.
func (c *Conn) Inspect(query string) (s Statement, err error) {
	err = c.conn.Raw(func(dc any) error {
		// Without a context the driver prepares a single statement and refuses several.
		// With one it would run all but the last.
		p, err := dc.(*duckdb.Conn).Prepare(query)
		if err != nil {
			var known *duckdb.Error
			if errors.As(err, &known) {
				return err
			}
			return ErrNotOne
		}
		prepared := p.(*duckdb.Stmt)
		defer prepared.Close()
		t, err := prepared.StatementType()
		if err != nil {
			return err
		}
		switch t {
		case duckdb.STATEMENT_TYPE_SELECT:
			s.Kind = Select
		case duckdb.STATEMENT_TYPE_EXPLAIN:
			s.Kind = Explain
		default:
			s.Kind = Other
		}
		s.Params = prepared.NumInput()
		n, err := prepared.ColumnCount()
		for i := 0; i < n && err == nil; i++ {
			var name string
			name, err = prepared.ColumnName(i)
			s.Columns = append(s.Columns, name)
		}
		return err
	})
	return s, err
}

// Quote returns text as a string of SQL.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// Message returns DuckDB's own words for an error of a query, and false if it is none.
func Message(err error) (string, bool) {
	var known *duckdb.Error
	if errors.As(err, &known) {
		switch known.Type {
		case duckdb.ErrorTypeIO, duckdb.ErrorTypeFatal, duckdb.ErrorTypeInternal:
			return "", false // not the query's fault
		}
		return known.Msg, true
	}
	return "", false
}
