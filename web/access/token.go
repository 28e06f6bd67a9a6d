package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// Bounds on tokens; one over them is refused.
const (
	maxTokens    = 1000
	maxTokenName = 100 // bytes
)

// lastUsedEvery is how stale the stored time of a token's last use may be.
const lastUsedEvery = time.Minute

// Errors that callers act on.
var (
	ErrUnauthenticated = errors.New("no valid token or session")
	ErrNoToken         = errors.New("no such token")
	ErrLastAdmin       = errors.New("this is the last admin token; create another before revoking it")
	ErrTooManyTokens   = fmt.Errorf("there are %d tokens already; revoke some first", maxTokens)
	ErrOff             = errors.New("access control is off on this server: every request is allowed, and there are no tokens")
	errStore           = errors.New("cannot write the access file")
)

// A Token is what is known of a token once its secret has been handed out.
type Token struct {
	ID       string
	Name     string
	Scopes   Scopes
	Created  time.Time
	Expires  time.Time // zero for never
	LastUsed time.Time // zero for never; at most a minute old
}

// storedToken is a Token on disk: JSON under its id in the bucket "tokens".
type storedToken struct {
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Hash     []byte   `json:"hash"` // SHA-256 of the whole token
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires,omitempty"`
	LastUsed int64    `json:"last_used,omitempty"` // epoch ms, like the others
}

// liveToken is a token in memory.
type liveToken struct {
	Token
	hash [sha256.Size]byte
}

func (t *liveToken) expired(now time.Time) bool {
	return !t.Expires.IsZero() && !now.Before(t.Expires)
}

func (t *liveToken) stored() storedToken {
	return storedToken{
		Name: t.Name, Scopes: t.Scopes.Names(), Hash: t.hash[:],
		Created: epoch(t.Created), Expires: epoch(t.Expires), LastUsed: epoch(t.LastUsed),
	}
}

// epoch returns t in epoch ms, 0 for the zero time.
func epoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromEpoch is the reverse of epoch.
func fromEpoch(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// secretBits returns 256 random bits as text.
func secretBits() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Create makes a token. The secret is returned this once. Expires is zero for a
// token without an end.
func (a *Access) Create(name string, scopes Scopes, expires time.Time) (secret string, t Token, err error) {
	if a.off {
		return "", Token{}, ErrOff
	}
	if err := checkName(name); err != nil {
		return "", Token{}, err
	}
	now := a.now()
	if !expires.IsZero() && !expires.After(now) {
		return "", Token{}, fmt.Errorf("expires: %s has passed", expires.UTC().Format(time.RFC3339))
	}
	var id [6]byte
	_, _ = rand.Read(id[:])
	made := &liveToken{Token: Token{ID: hex.EncodeToString(id[:]), Name: name, Scopes: scopes, Created: now, Expires: expires}}
	secret = "fr_" + made.ID + "_" + secretBits()
	made.hash = sha256.Sum256([]byte(secret))

	a.change.Lock()
	defer a.change.Unlock()
	if count := a.count(); count >= maxTokens {
		return "", Token{}, ErrTooManyTokens
	}
	if err := a.put(made); err != nil {
		return "", Token{}, fmt.Errorf("create token: %w: %w", errStore, err)
	}
	a.mu.Lock()
	a.tokens[made.ID] = made
	a.mu.Unlock()
	return secret, made.Token, nil
}

// checkName refuses a name that could not be shown in a list.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("name: say what the token is for")
	case len(name) > maxTokenName:
		return fmt.Errorf("name: %d bytes, more than %d", len(name), maxTokenName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("name: must be printable UTF-8")
	}
	return nil
}

// List returns all tokens, oldest first.
func (a *Access) List() []Token {
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := make([]Token, 0, len(a.tokens))
	for _, t := range a.tokens {
		list = append(list, t.Token)
	}
	slices.SortFunc(list, func(x, y Token) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return list
}

// Revoke ends a token and every session opened with it. The last token that
// can make others is kept: ErrLastAdmin.
func (a *Access) Revoke(id string) error {
	if a.off {
		return ErrOff
	}
	a.change.Lock()
	defer a.change.Unlock()
	if err := a.revocable(id); err != nil {
		return err
	}
	err := a.db.Update(func(tx *bolt.Tx) error {
		if err := deleteSessions(tx, func(s storedSession) bool { return s.Token == id }); err != nil {
			return err
		}
		return tx.Bucket(bucketTokens).Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w: %w", errStore, err)
	}
	a.mu.Lock()
	delete(a.tokens, id)
	a.mu.Unlock()
	return nil
}

// revocable returns why the token cannot be revoked, if it cannot.
func (a *Access) revocable(id string) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	t, ok := a.tokens[id]
	if !ok {
		return ErrNoToken
	}
	if t.Scopes&Admin == 0 {
		return nil
	}
	now := a.now()
	for _, other := range a.tokens {
		if other.ID != id && other.Scopes&Admin != 0 && !other.expired(now) {
			return nil
		}
	}
	return ErrLastAdmin
}

// verify returns the token that secret is, or ErrUnauthenticated.
func (a *Access) verify(secret string) (*liveToken, error) {
	id, ok := idOf(secret)
	if !ok {
		return nil, ErrUnauthenticated
	}
	hash := sha256.Sum256([]byte(secret))
	now := a.now()
	a.mu.RLock()
	t := a.tokens[id]
	valid := t != nil && subtle.ConstantTimeCompare(hash[:], t.hash[:]) == 1 && !t.expired(now)
	stale := valid && now.Sub(t.LastUsed) >= lastUsedEvery
	a.mu.RUnlock()
	if !valid {
		return nil, ErrUnauthenticated
	}
	if stale {
		a.used(id, now)
	}
	return t, nil
}

// idOf returns the public part of a token.
func idOf(secret string) (string, bool) {
	rest, ok := strings.CutPrefix(secret, "fr_")
	if !ok || len(secret) > 128 {
		return "", false
	}
	id, _, ok := strings.Cut(rest, "_")
	return id, ok
}

// used notes when a token was last used. One request a minute pays for it; that
// it cannot be stored refuses nobody.
func (a *Access) used(id string, now time.Time) {
	a.change.Lock()
	defer a.change.Unlock()
	a.mu.Lock()
	t := a.tokens[id]
	if t == nil || now.Sub(t.LastUsed) < lastUsedEvery {
		a.mu.Unlock()
		return
	}
	updated := *t
	updated.LastUsed = now
	a.tokens[id] = &updated
	a.mu.Unlock()
	if err := a.put(&updated); err != nil {
		a.logger.Warn("access: cannot store when a token was last used", "token", id, "error", err)
	}
}

func (a *Access) count() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.tokens)
}

// put writes t. The caller holds a.change.
func (a *Access) put(t *liveToken) error {
	text, err := json.Marshal(t.stored())
	if err != nil {
		return err
	}
	return a.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTokens).Put([]byte(t.ID), text) })
}
