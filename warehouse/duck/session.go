package duck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// contexts holds the context of what each connection runs, for the functions written in
// Go that DuckDB calls meanwhile.
type contexts struct{ byConn sync.Map }

// enter makes ctx the connection's until the function that it returns is called.
func (c *contexts) enter(id uint64, ctx context.Context) (leave func()) {
	c.byConn.Store(id, ctx)
	return func() { c.byConn.Delete(id) }
}

func (c *contexts) of(id uint64) context.Context {
	if ctx, ok := c.byConn.Load(id); ok {
		return ctx.(context.Context)
	}
	return context.Background()
}

// A Session is a connection outside of the pool whose results are read in place, chunk
// by chunk. One goroutine at a time uses it.
type Session struct {
	db     *DB
	handle *handle
	conn   mapping.Connection
	id     uint64
}

// Session opens a session. The caller closes it.
func (db *DB) Session(ctx context.Context) (*Session, error) {
	h, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	s := &Session{db: db, handle: h}
	if mapping.Connect(h.raw, &s.conn) == mapping.StateError {
		db.release(h)
		return nil, errors.New("the database takes no more connections")
	}
	var c mapping.ClientContext
	mapping.ConnectionGetClientContext(s.conn, &c)
	s.id = uint64(mapping.ClientContextGetConnectionId(c))
	mapping.DestroyClientContext(&c)
	return s, nil
}

// Close rolls an open transaction back.
func (s *Session) Close() {
	mapping.Disconnect(&s.conn)
	s.db.release(s.handle)
}

// A Millis is an argument of type TIMESTAMPTZ in epoch milliseconds.
type Millis int64

// Exec runs one statement and returns how many rows it changed.
func (s *Session) Exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = s.run(ctx, query, args, func(r *mapping.Result) error {
		changed = int64(mapping.RowsChanged(r))
		return nil
	})
	return changed, err
}

// Read runs one statement and yields its result, which DuckDB has gathered before.
func (s *Session) Read(ctx context.Context, query string, args []any, yield func(*Chunk) error) error {
	return s.run(ctx, query, args, func(r *mapping.Result) error {
		for ctx.Err() == nil {
			c := mapping.FetchChunk(*r)
			if c.Ptr == nil {
				return nil
			}
			err := yield(resultChunk(c))
			mapping.DestroyDataChunk(&c)
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// run executes a statement and hands its result to use.
func (s *Session) run(ctx context.Context, query string, args []any, use func(*mapping.Result) error) error {
	defer s.db.contexts.enter(s.id, ctx)()
	defer s.interrupted(ctx)()
	var p mapping.PreparedStatement
	defer mapping.DestroyPrepare(&p)
	if mapping.Prepare(s.conn, query, &p) == mapping.StateError {
		return s.handle.saw(s.db, failure(ctx, mapping.PrepareError(p)))
	}
	for i, a := range args {
		if err := bind(p, mapping.IdxT(i+1), a); err != nil {
			return err
		}
	}
	var r mapping.Result
	defer mapping.DestroyResult(&r)
	if words, ok := execute(p, &r); !ok {
		return s.handle.saw(s.db, failure(ctx, words))
	}
	return use(&r)
}

// idle is how long execute sleeps while DuckDB's own threads have all there is to do.
const idle = 200 * time.Microsecond

// execute runs a prepared statement, or returns DuckDB's words for what is wrong. DuckDB's
// own loop would keep a core busy with waiting for a pipeline that one thread works on.
func execute(p mapping.PreparedStatement, r *mapping.Result) (words string, ok bool) {
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	if mapping.PendingPrepared(p, &pending) == mapping.StateError {
		return mapping.PendingError(pending), false
	}
	for {
		switch mapping.PendingExecuteTask(pending) {
		case mapping.PendingStateResultNotReady:
		case mapping.PendingStateNoTasksAvailable:
			time.Sleep(idle)
		case mapping.PendingStateError:
			return mapping.PendingError(pending), false
		default:
			if mapping.ExecutePending(pending, r) == mapping.StateError {
				return mapping.ResultError(r), false
			}
			return "", true
		}
	}
}

func bind(p mapping.PreparedStatement, i mapping.IdxT, a any) error {
	var state mapping.State
	switch a := a.(type) {
	case nil:
		state = mapping.BindNull(p, i)
	case uint32:
		state = mapping.BindUInt32(p, i, a)
	case int64:
		state = mapping.BindInt64(p, i, a)
	case uint64:
		state = mapping.BindUInt64(p, i, a)
	case string:
		state = mapping.BindVarcharLength(p, i, a, mapping.IdxT(len(a)))
	case Millis:
		state = mapping.BindTimestampTZ(p, i, mapping.NewTimestamp(int64(a)*1000))
	default:
		return fmt.Errorf("argument %d is a %T", i, a)
	}
	if state == mapping.StateError {
		return fmt.Errorf("argument %d does not fit: %s", i, mapping.PrepareError(p))
	}
	return nil
}

// interrupted interrupts what the session runs when ctx ends, again and again since
// DuckDB may forget one that comes between two steps. What it returns is called when the
// statement is over.
func (s *Session) interrupted(ctx context.Context) (over func()) {
	done, quiet := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(quiet)
		for {
			mapping.Interrupt(s.conn)
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() {
		close(done)
		if !stop() {
			<-quiet // it must not meet the next statement
		}
	}
}

// failure is DuckDB's error of a statement.
func failure(ctx context.Context, words string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := &duckdb.Error{Msg: words}
	for prefix, t := range map[string]duckdb.ErrorType{
		"TransactionContext Error": duckdb.ErrorTypeTransaction, "IO Error": duckdb.ErrorTypeIO, "INTERNAL Error": duckdb.ErrorTypeInternal,
		"FATAL Error": duckdb.ErrorTypeFatal, "Out of Memory Error": duckdb.ErrorTypeOutOfMemory,
	} {
		if strings.HasPrefix(words, prefix) {
			err.Type = t
		}
	}
	return err
}

// Conflict reports whether a transaction failed because another one had changed the same
// rows, so that it may be tried again.
func Conflict(err error) bool {
	var known *duckdb.Error
	return errors.As(err, &known) && known.Type == duckdb.ErrorTypeTransaction
}
