package access

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Options say how access is controlled.
type Options struct {
	Path       string           // the bbolt file, made if not there; not used when Off
	Off        bool             // allow everything; for a listener on loopback only
	SessionTTL time.Duration    // how long a browser stays signed in; 0 means 30 days
	Now        func() time.Time // nil means time.Now
	Logger     *slog.Logger     // nil discards
}

const defaultSessionTTL = 30 * 24 * time.Hour

var (
	bucketTokens   = []byte("tokens")   // id → JSON storedToken
	bucketSessions = []byte("sessions") // SHA-256 of the cookie's value → JSON storedSession
)

// Access holds the tokens and sessions of one server.
type Access struct {
	off        bool
	sessionTTL time.Duration
	now        func() time.Time
	logger     *slog.Logger
	db         *bolt.DB // nil when off
	failures   failures

	// change serialises what is written, tokens and sessions, so that memory and
	// file agree. It is held across the file's I/O; readers do not take it.
	change sync.Mutex

	mu     sync.RWMutex
	tokens map[string]*liveToken // by id; the values are never changed, only replaced
}

// Open reads the tokens from the file at o.Path. It fails if another process
// has the file open. With o.Off it touches nothing.
func Open(o Options) (*Access, error) {
	a := &Access{off: o.Off, sessionTTL: o.SessionTTL, now: o.Now, logger: o.Logger, tokens: map[string]*liveToken{}}
	if a.sessionTTL <= 0 {
		a.sessionTTL = defaultSessionTTL
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if a.off {
		return a, nil
	}
	db, err := bolt.Open(o.Path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = errors.New("another process has it open")
		}
		return nil, fmt.Errorf("access: open %s: %w", o.Path, err)
	}
	a.db = db
	if err := a.restore(); err != nil {
		db.Close()
		return nil, fmt.Errorf("access: read %s: %w", o.Path, err)
	}
	return a, nil
}

// restore makes the buckets if they are not there and reads all tokens.
func (a *Access) restore() error {
	return a.db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketSessions); err != nil {
			return err
		}
		tokens, err := tx.CreateBucketIfNotExists(bucketTokens)
		if err != nil {
			return err
		}
		return tokens.ForEach(func(id, text []byte) error {
			var s storedToken
			if err := json.Unmarshal(text, &s); err != nil {
				return fmt.Errorf("token %s: %w", id, err)
			}
			scopes, err := ParseScopes(s.Scopes)
			if err != nil {
				return fmt.Errorf("token %s: %w", id, err)
			}
			if len(s.Hash) != sha256.Size {
				return fmt.Errorf("token %s: hash of %d bytes, want %d", id, len(s.Hash), sha256.Size)
			}
			a.tokens[string(id)] = &liveToken{
				Token: Token{
					ID: string(id), Name: s.Name, Scopes: scopes,
					Created: fromEpoch(s.Created), Expires: fromEpoch(s.Expires), LastUsed: fromEpoch(s.LastUsed),
				},
				hash: [sha256.Size]byte(s.Hash),
			}
			return nil
		})
	})
}

// Off reports whether everything is allowed.
func (a *Access) Off() bool { return a.off }

// Bootstrap makes the first admin token if there is no token at all, and
// returns its secret for the one time that it is shown. On every later start,
// and when access control is off, it returns "".
func (a *Access) Bootstrap() (secret string, err error) {
	if a.off || a.count() > 0 {
		return "", nil
	}
	secret, _, err = a.Create("first admin", Admin, time.Time{})
	return secret, err
}

// Close releases the file.
func (a *Access) Close() error {
	if a.db == nil {
		return nil
	}
	return a.db.Close()
}
