package duck

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// A handle is one opening of the file.
type handle struct {
	connector *duckdb.Connector
	pool      *sql.DB
	raw       mapping.Database // the same database, for sessions

	// Guarded by DB.mu.
	ready  bool          // prepared
	broken bool          // DuckDB has given it up
	users  int           // connections and sessions
	left   chan struct{} // closed once it is broken and has no users
}

// patience is how long a file waits to be reopened until all have let it go.
const patience = 30 * time.Second

type preparingKey struct{}

// acquire returns the handle for one more user, reopened if it has to be.
func (db *DB) acquire(ctx context.Context) (*handle, error) {
	preparing := ctx.Value(preparingKey{}) != nil
	if h := db.use(preparing); h != nil || preparing {
		return h, usable(h)
	}
	select {
	case db.opening <- struct{}{}:
		defer func() { <-db.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h := db.use(false); h != nil {
		return h, nil
	}
	if err := db.leave(ctx); err != nil {
		return nil, err
	}
	// The file is everybody's: it does not stay closed for the impatience of one.
	if err := db.open(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	h := db.use(false)
	return h, usable(h)
}

func usable(h *handle) error {
	if h == nil {
		return errors.New("the database cannot be used")
	}
	return nil
}

// use counts one more user of the handle, or returns nil if it cannot be used.
func (db *DB) use(preparing bool) *handle {
	db.mu.Lock()
	defer db.mu.Unlock()
	h := db.handle
	if h == nil || h.broken || !h.ready && !preparing {
		return nil
	}
	h.users++
	return h
}

// release counts one user less.
func (db *DB) release(h *handle) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if h.users--; h.broken && h.users == 0 {
		close(h.left)
	}
}

// saw notes an error that DuckDB gives a database up with, and returns it.
func (h *handle) saw(db *DB, err error) error {
	var known *duckdb.Error
	if !errors.As(err, &known) || known.Type != duckdb.ErrorTypeFatal && !strings.Contains(known.Msg, "database has been invalidated") {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	h.broken = true // by a user, who is still to leave
	return err
}

// leave closes a broken handle when its last user has left it: until then DuckDB would
// hand out the same broken database again.
func (db *DB) leave(ctx context.Context) error {
	db.mu.Lock()
	h := db.handle
	db.mu.Unlock()
	if h == nil {
		return nil
	}
	select {
	case <-h.left:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("the database has to be reopened and is still in use")
	}
	db.mu.Lock()
	db.handle = nil
	db.mu.Unlock()
	_ = h.close() // it is broken
	return nil
}

// open opens the file and prepares it.
func (db *DB) open(ctx context.Context) error {
	h, err := openHandle(ctx, db.options)
	if err != nil {
		return fmt.Errorf("open %s: %w", db.options.Path, err)
	}
	db.mu.Lock()
	db.handle = h
	db.mu.Unlock()
	if db.options.Prepare != nil {
		if err := db.options.Prepare(context.WithValue(ctx, preparingKey{}, true), db); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	db.mu.Lock()
	h.ready = true
	db.mu.Unlock()
	return nil
}

func openHandle(ctx context.Context, o Options) (*handle, error) {
	config := o.config()
	connector, err := duckdb.NewConnector(o.Path+"?"+config.Encode(), nil)
	if err != nil {
		return nil, err
	}
	h := &handle{connector: connector, pool: sql.OpenDB(connector), left: make(chan struct{})}
	if err := h.openRaw(o.Path, config); err != nil {
		return nil, errors.Join(err, h.close())
	}
	settings := []string{"SET GLOBAL TimeZone = 'UTC'", "SET GLOBAL enable_external_access = false"}
	if o.Exports != "" { // has to be named while the file system is still open
		settings = slices.Insert(settings, 0, "SET GLOBAL allowed_directories = ["+Quote(o.Exports)+"]")
	}
	for _, set := range settings {
		if _, err := h.pool.ExecContext(ctx, set); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", set, err), h.close())
		}
	}
	return h, nil
}

// openRaw opens the driver's database once more, by DuckDB's C interface. It is the same
// one as long as all settings are.
func (h *handle) openRaw(path string, settings url.Values) error {
	var config mapping.Config
	defer mapping.DestroyConfig(&config)
	ok := mapping.CreateConfig(&config) != mapping.StateError && mapping.SetConfig(config, "duckdb_api", "go") != mapping.StateError
	for name := range settings {
		ok = ok && mapping.SetConfig(config, name, settings.Get(name)) != mapping.StateError
	}
	if !ok {
		return errors.New("the settings are refused")
	}
	var words string
	if mapping.GetOrCreateFromCache(duckdb.GetInstanceCache(), path, &h.raw, config, &words) == mapping.StateError {
		return errors.New(words)
	}
	return nil
}

func (h *handle) close() error {
	mapping.Close(&h.raw)
	return errors.Join(h.pool.Close(), h.connector.Close())
}
